"""Training: deterministic, resumable, watched."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from vaeline.errors import VaelineError
from vaeline.models.networks import initialize_output_bias
from vaeline.models.vae import VAE
from vaeline.params import ModelParams, TrainParams
from vaeline.training.batches import OrderedBatches, mean_image, training_batches
from vaeline.training.checkpoint import History, Progress, load_checkpoint, save_checkpoint
from vaeline.training.schedules import build_optimizer, kl_weight

VALIDATION_BATCH = 1000
VALIDATION_NOISE = 2**31


def start(images: np.ndarray, model_params: ModelParams, params: TrainParams) -> Progress:
    """An untrained model whose decoder starts at the mean of `images` (count, height, width) uint8."""
    keras.utils.set_random_seed(params.seed)
    model = VAE(**model_params.model_dump(), image_shape=images.shape[1:], seed=params.seed)
    model.build((None, *images.shape[1:]))
    initialize_output_bias(model.decoder, mean_image(images))
    model.compile(optimizer=build_optimizer(params, _steps(images, params)), jit_compile=params.jit_compile)
    return Progress(model)


def fit(
    progress: Progress,
    train_images: np.ndarray,
    validation_images: np.ndarray,
    params: TrainParams,
    checkpoint: Path,
    observers: Sequence[keras.callbacks.Callback] = (),
) -> tuple[VAE, History]:
    """Train from `progress` to the end; return the model with its best weights, and one row an epoch.

    Order of images and noise are functions of (seed, epoch), so that a training which was stopped and goes on
    from `checkpoint` gives the same bits as one that was not.

    Raises:
        VaelineError: the loss is not finite, or the posterior has collapsed at the end.
    """
    model, done = progress.model, len(progress.history)
    if not _exhausted(progress.history, params):
        model.fit(
            training_batches(train_images, params.batch_size, params.seed, range(done, params.epochs)),
            steps_per_epoch=_steps(train_images, params),
            initial_epoch=done,
            epochs=params.epochs,
            validation_data=OrderedBatches(validation_images, VALIDATION_BATCH),
            callbacks=[EpochState(params), Recorder(progress, params, checkpoint), *observers],
            shuffle=False,
            verbose=0,
        )
    model.set_weights(progress.best_weights)
    model.kl_weight.assign(1.0)
    best = progress.history[best_epoch(progress.history)]
    if best["val_kl"] < params.min_kl:
        raise VaelineError(
            f"the posterior has collapsed: validation KL is {best['val_kl']:.3f} nats per image, train.min_kl asks for "
            f"{params.min_kl}; lower model.beta, raise train.kl_warmup or change train.learning_rate"
        )
    return model, progress.history


def resume_or_start(
    checkpoint: Path, images: np.ndarray, model_params: ModelParams, params: TrainParams
) -> Progress:
    """Go on from `checkpoint` if there is one, else start anew."""
    return load_checkpoint(checkpoint) or start(images, model_params, params)


def best_epoch(history: History) -> int:
    """Index of the epoch with the lowest validation loss."""
    return min(range(len(history)), key=lambda epoch: history[epoch]["val_loss"])


class EpochState(keras.callbacks.Callback):
    """Sets everything that changes from epoch to epoch, from the epoch's number alone."""

    def __init__(self, settings: TrainParams):
        super().__init__()
        self.settings = settings

    def on_epoch_begin(self, epoch, logs=None):
        self.model.kl_weight.assign(kl_weight(epoch, self.settings.kl_warmup))
        self._seed_noise(epoch)

    def on_test_begin(self, logs=None):
        self._seed_noise(VALIDATION_NOISE)

    def _seed_noise(self, epoch: int) -> None:
        states = [variable for variable in self.model.variables if variable.path.endswith("seed_generator_state")]
        for index, state in enumerate(states):
            state.assign(np.random.SeedSequence([self.settings.seed, epoch, index]).generate_state(2))


class Recorder(keras.callbacks.Callback):
    """Keeps history, best weights and the checkpoint; stops a training that is broken or no longer improves."""

    def __init__(self, progress: Progress, settings: TrainParams, checkpoint: Path):
        super().__init__()
        self.progress = progress
        self.settings = settings
        self.checkpoint = checkpoint

    def on_train_begin(self, logs=None):
        self.bar = tqdm(
            desc="training", unit="epoch", total=self.settings.epochs, initial=len(self.progress.history), disable=None
        )

    def on_train_batch_end(self, batch, logs=None):
        self._require_finite(logs, f"step {batch + 1} of epoch {len(self.progress.history) + 1}")

    def on_epoch_end(self, epoch, logs=None):
        self._require_finite(logs, f"epoch {epoch + 1}")
        learning_rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        row = {"epoch": epoch + 1, "learning_rate": learning_rate}
        self.progress.history.append(row | {name: float(value) for name, value in logs.items()})
        if best_epoch(self.progress.history) == epoch:
            self.progress.best_weights = self.model.get_weights()
        self.model.stop_training = _exhausted(self.progress.history, self.settings)
        save_checkpoint(self.progress, self.checkpoint)
        self._show(epoch, logs)

    def on_train_end(self, logs=None):
        self.bar.close()

    def _require_finite(self, logs, when: str) -> None:
        if not np.isfinite(logs["loss"]):
            raise VaelineError(
                f"the loss is {logs['loss']} at {when}; lower train.learning_rate or raise train.learning_rate_warmup"
            )

    def _show(self, epoch, logs) -> None:
        figures = {name: f"{logs[name]:.2f}" for name in ("neg_elbo", "val_neg_elbo", "val_kl")}
        self.bar.update()
        self.bar.set_postfix(figures)
        if self.bar.disable:
            values = ", ".join(f"{name} {value}" for name, value in figures.items())
            print(f"epoch {epoch + 1}/{self.settings.epochs}: {values}", flush=True)


def _steps(images: np.ndarray, params: TrainParams) -> int:
    return -(-len(images) // params.batch_size)


def _exhausted(history: History, params: TrainParams) -> bool:
    if not history:
        return False
    return len(history) >= params.epochs or len(history) - 1 - best_epoch(history) >= params.patience
