"""Training: deterministic, resumable, and reported after each epoch."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import keras
import numpy as np
from keras.utils import set_random_seed
from tqdm import tqdm

from vaeline.errors import VaelineError
from vaeline.images.lazy import rows_at_once
from vaeline.images.spec import ImageSpec
from vaeline.models.build import build_model, model_class
from vaeline.models.generative import GenerativeModel
from vaeline.params.model import ModelParams
from vaeline.params.train import TrainParams
from vaeline.training.batches import Examples, binarized, mirrored, ordered_batches, shifted, shuffled_batches
from vaeline.training.checkpoint import Epoch, History, Progress, load_checkpoint, save_checkpoint
from vaeline.training.corruption import Shown, damaged
from vaeline.training.schedules import build_optimizer, kl_weight, learning_rate
from vaeline.training.steps import Steps, steps_of

VALIDATION_BATCH = 1000
VALIDATION_NOISE = 2**31


def start(
    train: Examples, classes: int, model_params: ModelParams, params: TrainParams, image: ImageSpec | None = None
) -> Progress:
    """An untrained model, initialized from the images in `train`; `classes` is the number of labels.

    image: how pictures are fitted for this model; without it, only the size is known, from the images.
    """
    set_random_seed(params.seed)
    model = build_model(model_params, image or ImageSpec.of_shape(train.images.shape), classes, params.seed)
    model.initialize(*train)
    steps_per_epoch = -(-len(train.images) // params.batch_size)
    jit_compile = params.jit_compile or keras.backend.backend() == "jax"  # else JAX compiles each operation separately
    model.compile(optimizer=build_optimizer(params, steps_per_epoch), jit_compile=jit_compile)
    model.optimizer.build(model.trainable_variables)  # a first step that makes variables is traced twice
    return Progress(model)


def resume_or_start(
    checkpoint: Path,
    train: Examples,
    classes: int,
    model_params: ModelParams,
    params: TrainParams,
    image: ImageSpec | None = None,
) -> Progress:
    """Continue from `checkpoint` if it exists, else start a new training."""
    model_class(model_params.kind)  # the import registers the class, so that Keras can load it
    return load_checkpoint(checkpoint) or start(train, classes, model_params, params, image)


def fit(
    progress: Progress,
    train: Examples,
    validation: Examples,
    params: TrainParams,
    checkpoint: Path,
    watch: Callable[[Epoch], None],
) -> tuple[GenerativeModel, History]:
    """Train from `progress` to the end. Return the model with its best weights, and one row for each epoch.

    The order of images and the noise are functions of (seed, epoch). A training that was stopped and continues from
    `checkpoint` therefore gives the same bits as one that was not stopped. `watch` is called after every epoch.

    Raises:
        VaelineError: the loss is not finite, or the posterior has collapsed at the end.
    """
    train_epochs(progress, train, validation, params, checkpoint, watch)
    model, history = progress.model, progress.history
    model.set_weights(progress.best_weights)
    model.kl_weight.assign(1.0)
    if model.has_bound:
        _require_information(history[best_epoch(history)]["val_kl"] - model.label_nats, params.min_kl)
    model.fit_prior(*train)
    return model, history


def train_epochs(
    progress: Progress,
    train: Examples,
    validation: Examples,
    params: TrainParams,
    checkpoint: Path,
    watch: Callable[[Epoch], None],
) -> None:
    """Run the epochs that are missing. `progress` is saved in `checkpoint` after each of them.

    Raises:
        VaelineError: the loss is not finite.
    """
    model, history = progress.model, progress.history
    train_steps, validation_steps = steps_of(model, training=True), steps_of(model, training=False)
    with epoch_bar(params, len(history)) as bar:
        while not is_finished(history, params):
            epoch = len(history)
            model.kl_weight.assign(kl_weight(epoch, params.kl_warmup))
            seed_noise(model, params.seed, epoch)
            trained = _run_epoch(train_steps, shown_batches(model, train, params, epoch))
            seed_noise(model, params.seed, VALIDATION_NOISE)
            batches = ordered_batches(validation, rows_at_once(VALIDATION_BATCH, model.image))
            validated = _run_epoch(validation_steps, _as_trained(batches, model, params, VALIDATION_NOISE))
            history.append(
                {
                    "epoch": epoch + 1,
                    "learning_rate": learning_rate(model.optimizer),
                    **trained,
                    **{f"val_{name}": value for name, value in validated.items()},
                }
            )
            if best_epoch(history) == epoch:
                progress.best_weights = model.get_weights()
            save_checkpoint(progress, checkpoint)
            watch(history[-1])
            show_epoch(bar, history[-1], params)


def best_epoch(history: History) -> int:
    """Index of the epoch with the lowest validation loss."""
    return min(range(len(history)), key=lambda epoch: history[epoch]["val_loss"])


def is_finished(history: History, params: TrainParams) -> bool:
    """Whether all epochs are done, or the validation loss has not improved in the last `patience` epochs."""
    if not history:
        return False
    return len(history) >= params.epochs or len(history) - 1 - best_epoch(history) >= params.patience


def seed_noise(model: GenerativeModel, seed: int, epoch: int) -> None:
    """Set every noise generator of the model (sampling, dropout) from (seed, epoch)."""
    states = [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]
    for index, state in enumerate(states):
        state.assign(np.random.SeedSequence([seed, epoch, index]).generate_state(2))


def _run_epoch(steps: Steps, batches: Iterable[Shown]) -> Epoch:
    """The means of the loss and of the model's other metrics over all images of the batches, in nats per image."""
    totals: Counter[str] = Counter()
    count = 0
    for images, means in steps(batches):
        if not np.isfinite(means["loss"]):
            raise VaelineError(
                f"the loss is {means['loss']}; lower train.learning_rate or raise train.learning_rate_warmup"
            )
        count += images
        totals.update({name: float(mean) * images for name, mean in means.items()})
    return {name: total / count for name, total in totals.items()}


def shown_batches(model: GenerativeModel, train: Examples, params: TrainParams, epoch: int) -> Iterator[Shown]:
    """The batches of an epoch as a training shows them to the model."""
    batches = shuffled_batches(train, params.batch_size, params.seed, epoch)
    if params.mirror:
        batches = mirrored(batches, params.seed, epoch)
    if params.shift:
        batches = shifted(batches, params.seed, epoch, params.shift)
    return _as_trained(batches, model, params, epoch)


def _as_trained(
    batches: Iterable[Examples], model: GenerativeModel, params: TrainParams, noise: int
) -> Iterator[Shown]:
    """The batches as the model sees them: with binary pixels, and with damage, as the parameters say."""
    if model.params.binarize:
        batches = binarized(batches, params.seed, noise)
    if params.corruption.most:
        return damaged(batches, params.seed, noise, params.corruption)
    return (Shown(images, labels, None) for images, labels in batches)


def _require_information(kl: float, least: float) -> None:
    if least and kl < least:
        raise VaelineError(
            f"the posterior has collapsed: validation KL is {kl:.3f} nats per image, but train.min_kl is {least}; "
            "lower model.beta, raise train.kl_warmup or change train.learning_rate"
        )


def epoch_bar(params: TrainParams, done: int = 0) -> tqdm:
    """A progress bar of a training, of which `done` epochs were run before."""
    return tqdm(desc="training", unit="epoch", total=params.epochs, initial=done, disable=None)


def show_epoch(bar: tqdm, row: Epoch, params: TrainParams) -> None:
    """Show the figures of an epoch beside the bar, or in a line of their own where there is no terminal."""
    shown = [name for name in ("loss", "neg_elbo", "val_loss", "val_neg_elbo", "val_kl") if name in row]
    figures = {name: f"{row[name]:.2f}" for name in shown}
    bar.n = row["epoch"]
    bar.set_postfix(figures)
    if bar.disable:
        values = ", ".join(f"{name} {value}" for name, value in figures.items())
        print(f"epoch {row['epoch']}/{params.epochs}: {values}", flush=True)
