"""Restoration of images with a model: noise and missing pixels are replaced by the expected pixels.

Images are float32 (count, height, width, channels) in [0, 1]. The encoder has never seen a damaged image and is misled
by it. The latents are therefore optimized: those whose decoded image is nearest to the known pixels are kept.
"""

from typing import Any

import keras
import numpy as np
from jaxtyping import Bool, Float, Float32
from keras import ops

from vaeline.evaluation.inference import decode, encode
from vaeline.images.lazy import rows_at_once
from vaeline.images.types import Images, Tensor
from vaeline.models.generative import GenerativeModel
from vaeline.restoration.damage import add_noise, box_mask, cut_out, median_filtered

BATCH = 1000
STEPS = 40
LEARNING_RATE = 0.1
CANDIDATES = 1000
CANDIDATE_SEED = 1
PIXEL_SIGMA = 0.25


def denoise(model: GenerativeModel, images: Images) -> Images:
    """The expected images of the most probable latents, shape of `images`."""
    return decode(model, likeliest_latents(model, images, np.ones(images.shape[1:], bool)))


def inpaint(model: GenerativeModel, images: Images, missing: Bool[np.ndarray, "*#places"]) -> Images:
    """Images whose `missing` pixels are filled in; others stay. `missing`: bool (height, width, 1), or one an image."""
    return np.where(missing, decode(model, likeliest_latents(model, images, ~missing)), images)


def show_restoration(model: GenerativeModel, images: Images, sigma: float, box: int, seed: int) -> dict[str, Images]:
    """Images with noise of deviation `sigma` and with a hole of `box` pixels, damaged and restored, by title."""
    noisy, missing = add_noise(images, sigma, seed), box_mask(images, box, seed)
    holed = cut_out(images, missing)
    return {
        "test image": images,
        f"noise, σ = {sigma:g}": noisy,
        "median filter": median_filtered(noisy),
        "restored": denoise(model, noisy),
        "cut out": holed,
        "filled in": inpaint(model, holed, missing),
    }


def likeliest_latents(
    model: GenerativeModel, images: Images, known: Bool[np.ndarray, "*#places"]
) -> Float[np.ndarray, "count latent_dim"]:
    """argmin over z of ‖x − decode(z)‖² / (2 · 0.25²) − log p(z) over the `known` pixels, shape (count, latent_dim).

    This is the mode of the posterior under Gaussian pixels. Adam searches over the random entries of z. The error is
    squared, whatever the model's likelihood: noise that is cut off at 0 makes the background brighter, and
    cross-entropy takes that for ink.
    """
    known = np.broadcast_to(known, images.shape)
    found = []
    size = rows_at_once(BATCH, model.image)
    for first in range(0, len(images), size):
        batch, mask = images[first : first + size], known[first : first + size].astype("float32")
        search = LatentSearch(model, _best_starts(model, batch, mask))
        search.compile(keras.optimizers.Adam(LEARNING_RATE))
        search.optimizer.build(search.trainable_variables)  # a first step that makes variables is traced twice
        for _ in range(STEPS):
            search.train_on_batch({"images": batch, "known": mask})
        found.append(ops.convert_to_numpy(search.latents()))
    return np.concatenate(found)


class LatentSearch(keras.Model):
    """The random entries of latents (count, latent_dim) as the only weights to train; the model stays as it is."""

    def __init__(self, model: GenerativeModel, start: Float[np.ndarray, "count latent_dim"]):
        super().__init__()
        self.decode, self.log_prior = model.decode, model.log_prior
        self.z = self.add_weight(shape=(len(start), model.noise_dim), initializer="zeros", name="z")
        self.z.assign(start[:, : model.noise_dim])
        self.rest = start[:, model.noise_dim :]
        self.built = True

    def latents(self) -> Float[Tensor, "count latent_dim"]:
        """All entries (count, latent_dim)."""
        return ops.concatenate([self.z, self.rest], axis=1)

    def call(self, batch: dict[str, Tensor]) -> Float[Tensor, "count height width channels"]:
        return batch["known"] * ops.square(batch["images"] - self.decode(self.latents()))

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        return ops.sum(y_pred) / (2 * PIXEL_SIGMA**2) - ops.sum(self.log_prior(self.latents()))


def _best_starts(
    model: GenerativeModel, images: Images, known: Float32[np.ndarray, "count height width channels"]
) -> Float[np.ndarray, "count latent_dim"]:
    """For each image the nearest of `z_mean` and a thousand draws from the prior, (count, latent_dim)."""
    candidates = ops.convert_to_numpy(model.draw_latents(CANDIDATES, CANDIDATE_SEED))
    z_mean, _ = encode(model, images)
    flat, mask = images.reshape(len(images), -1), known.reshape(len(images), -1)
    drawn = decode(model, candidates).reshape(CANDIDATES, -1)
    squared_error = mask @ (drawn**2).T - 2 * (mask * flat) @ drawn.T + (mask * flat**2).sum(axis=1, keepdims=True)
    own = (mask * (flat - decode(model, z_mean).reshape(len(images), -1)) ** 2).sum(axis=1)
    better = squared_error.min(axis=1) < own
    return np.where(better[:, None], candidates[squared_error.argmin(axis=1)], z_mean)
