"""Training the classifier."""

import keras
import numpy as np
from keras.optimizers.schedules import CosineDecay
from tqdm import tqdm

from vaeline.classifier.network import Classifier
from vaeline.classifier.turns import TURNS, turn
from vaeline.images.arrays import to_unit
from vaeline.images.lazy import ByteSource
from vaeline.images.spec import ImageSpec
from vaeline.images.types import ByteImages, Labels
from vaeline.params.classify import ClassifyParams
from vaeline.training.batches import epoch_order

SHIFT = 2
WEIGHT_DECAY = 1e-3


def fit_classifier(images: ByteSource, labels: Labels | None, classes: int, params: ClassifyParams) -> Classifier:
    """Train a classifier on images (count, height, width, channels) uint8 with labels (count,).

    Without labels, each image is turned by chance, and the classifier learns how. Each image is shifted by up to two
    pixels. The order, the shifts and the turns are functions of (seed, epoch).
    """
    keras.utils.set_random_seed(params.seed)
    classifier = Classifier(
        image=ImageSpec.of_shape(images.shape),
        classes=classes if labels is not None else TURNS,
        width=params.width,
        by_turns=labels is None,
    )
    steps = -(-len(images) // params.batch_size)
    warmup = min(steps, params.epochs * steps - 1)
    schedule = CosineDecay(
        0.0,
        decay_steps=max(1, params.epochs * steps - warmup),
        warmup_target=params.learning_rate,
        warmup_steps=max(1, warmup),
    )
    classifier.compile(
        keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    classifier.optimizer.build(classifier.trainable_variables)  # a first step that makes variables is traced twice
    with tqdm(desc="classifier", total=params.epochs * steps, unit="batch", disable=None) as bar:
        for epoch in range(params.epochs):
            order = epoch_order(len(images), params.seed, epoch)
            for start in range(0, len(images), params.batch_size):
                rows = order[start : start + params.batch_size]
                rng = np.random.default_rng([params.seed, epoch, start])
                shown = shift(images[rows], rng)
                targets = rng.integers(TURNS, size=len(rows)) if labels is None else labels[rows]
                classifier.train_on_batch(to_unit(turn(shown, targets) if labels is None else shown), targets)
                bar.update()
    return classifier


def shift(images: ByteImages, rng: np.random.Generator) -> ByteImages:
    """Shift each image (count, height, width, channels) by up to two pixels up or down and left or right.

    The free pixels are zero.
    """
    count, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    down, right = rng.integers(0, 2 * SHIFT + 1, size=(2, count))
    return np.moveaxis(windows[np.arange(count), down, right], 1, -1)
