"""Metrics of conditional models: accuracy of class samples, classification by the model, and diversity by class."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from jaxtyping import Float

from vaeline.classifier.fit import fit_classifier
from vaeline.classifier.network import Classifier, classify_parts, features_and_labels
from vaeline.evaluation.group import Group, Inputs
from vaeline.evaluation.inference import encode, sampled_batches
from vaeline.evaluation.noise import subset
from vaeline.evaluation.subject import Measured, Subject
from vaeline.evaluation.summary import DECIMALS, summarize
from vaeline.images.arrays import to_uint8
from vaeline.images.lazy import LazyImages
from vaeline.images.types import ByteImages, Images
from vaeline.likelihood.bounds import label_bounds
from vaeline.models.generative import GenerativeModel
from vaeline.params.classify import ClassifyParams
from vaeline.samples.distances import DENSITY_NEIGHBOURS, coverage_scores, pair_distances

BAYES_SAMPLES = 10


def measure_conditional(
    subject: Subject, classifier: Classifier, training: ClassifyParams, nll_bound: Float[np.ndarray, " count"]
) -> Measured:
    """Accuracy of class samples and of classification, as shares of images; under `classes` by name.

    sample_accuracy: samples of a class that the pinned classifier takes for it. cas_accuracy: test images named rightly
    by a classifier trained on samples alone (Ravuri & Vinyals 2019, arXiv:1905.10887). bayes_accuracy: by the label of
    the highest bound on log p(x, label); guess_accuracy: by the model's own guess. `recall` and the mean `distance` of
    two samples of a class say how diverse they are, `real_…` how diverse its training images. nll_given_label:
    −log p(x|label) in nats per image, from the test images' `nll_bound` (count,). Empty if the training images have
    one class.
    """
    if not subject.has_classes:
        return Measured({}, {"left out": "the training images have one class"})
    model, seed, names = subject.model, subject.seed, subject.classes
    each = len(subject.train_labels) // len(names)
    drawn_labels = np.repeat(np.arange(len(names)), each)
    with tempfile.TemporaryDirectory() as scratch:
        drawn = _file_of_images(Path(scratch), (len(drawn_labels), *model.image.shape))
        features, taken_for = classify_parts(classifier, _draw_classes(model, drawn, len(names), seed))
        judge = fit_classifier(drawn, drawn_labels, len(names), training)
    bounds = label_bounds(model, subject.images, subject.rows, BAYES_SAMPLES, seed)
    guessed = encode(model, subject.images)[0][:, -model.label_dim :]
    columns = {
        "bayes_accuracy": (bounds.argmin(axis=1) == subject.labels).astype("float64"),
        "guess_accuracy": (guessed.argmax(axis=1) == subject.labels).astype("float64"),
    }
    shown = pd.DataFrame({"label": drawn_labels, "sample_accuracy": (taken_for == drawn_labels).astype("float64")})
    judged = features_and_labels(judge, subject.original_images)[1]
    seen = {"cas_accuracy": (judged == subject.labels).astype("float64")}
    seen |= columns | {"nll_given_label": nll_bound - model.label_nats}
    diversity = _diversity(subject, classifier, {label: features[drawn_labels == label] for label in range(len(names))})
    by_class = {
        names[cast(int, label)]: summarize(rows) | diversity[cast(int, label)] for label, rows in shown.groupby("label")
    }
    metrics = {**summarize(shown), **summarize(pd.DataFrame(seen)), "classes": by_class}
    protocol = {
        "samples": f"{len(drawn_labels)} expected images, as many of each class, temperature 1, seeds from {seed}",
        "cas": f"the pinned classifier's network and training, {training.epochs} epochs, on those samples alone",
        "bayes": f"importance-weighted, k = {BAYES_SAMPLES}, all labels equally likely, {subject.pixels} pixels",
        "guess": f"−ELBO with z at z_mean, all labels equally likely, {subject.pixels} pixels",
        "nll_given_label": "test.nll_bound less log(classes)",
        "classes": "recall and distance: as many samples, and training images, as there are test images of the class, "
        "in the features of samples",
    }
    return Measured(metrics, protocol, columns)


def _file_of_images(folder: Path, shape: tuple[int, ...]) -> ByteImages:
    """Images that are kept in a file, because there are as many samples as training images."""
    return np.lib.format.open_memmap(folder / "drawn.npy", mode="w+", dtype="uint8", shape=shape)


def _draw_classes(model: GenerativeModel, kept: ByteImages, classes: int, seed: int) -> Iterator[Images]:
    """Samples of each class, as many of each, in parts; they are also written to `kept`."""
    first = 0
    for label in range(classes):
        for images in sampled_batches(model, len(kept) // classes, seed + label, label):
            kept[first : first + len(images)] = to_uint8(images)
            first += len(images)
            yield images


def _diversity(
    subject: Subject, classifier: Classifier, samples: dict[int, Float[np.ndarray, "_ features"]]
) -> dict[int, dict[str, float]]:
    """Recall and mean distance of each class's `samples` (count, features), and of its training images.

    A class of a few images, or of none in train or test, has neither.
    """
    test, _ = features_and_labels(classifier, subject.original_images)
    train = subject.prepared.splits["train"]
    found = {}
    for label, drawn in samples.items():
        real = test[subject.labels == label]
        rows = np.flatnonzero(train.labels == label)
        metrics: dict[str, float] = {}
        if min(len(real), len(rows), len(drawn)) <= DENSITY_NEIGHBOURS:
            found[label] = metrics
            continue
        chosen = rows[subset(len(rows), len(real), subject.seed)]
        others, _ = features_and_labels(classifier, LazyImages.of_bytes(train.images).take(chosen))
        for prefix, shown in (("", drawn[: len(real)]), ("real_", others)):
            recall = coverage_scores(real, shown)["recall"]
            distance, error = pair_distances(shown)
            metrics |= {f"{prefix}recall": recall.mean(), f"{prefix}recall_se": recall.std(ddof=1) / np.sqrt(len(real))}
            metrics |= {f"{prefix}distance": distance, f"{prefix}distance_se": error}
        found[label] = {name: round(float(value), DECIMALS) for name, value in metrics.items()}
    return found


def _measure(inputs: Inputs) -> Measured:
    nll_bound = inputs.earlier["test"].columns["nll_bound"]
    return measure_conditional(inputs.subject, inputs.classifier, inputs.training, nll_bound)


GROUP = Group("conditional", _measure, applies=lambda subject: subject.model.is_conditional)
