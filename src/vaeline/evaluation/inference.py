"""A model applied to many images or latents, batch by batch, from arrays to arrays.

Images are float32 (count, height, width, channels) in [0, 1], or binary where the model was trained on binary pixels.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32, Shaped
from keras import ops

from vaeline.evaluation.noise import binary_pixels, content_streams
from vaeline.images.types import Images, Labels, Tensor
from vaeline.models.generative import GenerativeModel

BATCH = 500


def encode(
    model: GenerativeModel, images: Images, labels: Labels | None = None
) -> tuple[Float[np.ndarray, "count latent_dim"], Float[np.ndarray, "count noise_dim"]]:
    """`z_mean` (count, latent_dim) and `z_log_var` (count, noise_dim) of all images.

    A conditional model is conditioned on `labels` (count,). Without them it uses its own guess of the label.
    """
    parts = [
        model.encode(images[rows], None if labels is None else labels[rows]) for rows in batches(len(images), BATCH)
    ]
    z_mean, z_log_var = zip(*parts, strict=True)
    return np.concatenate([to_numpy(part) for part in z_mean]), np.concatenate([to_numpy(part) for part in z_log_var])


def decode(
    model: GenerativeModel, z: Float[np.ndarray, "*rows latent_dim"]
) -> Float32[np.ndarray, "*rows height width channels"]:
    """The expected images (…, height, width, channels) of latents (…, latent_dim)."""
    flat = z.reshape(-1, z.shape[-1])
    images = np.concatenate([to_numpy(model.decode(flat[rows])) for rows in batches(len(flat), BATCH)])
    return images.reshape(*z.shape[:-1], *images.shape[1:])


def as_seen(model: GenerativeModel, images: Images, seed: int) -> Images:
    """Images from anywhere in the form of the training images: as they are, or binarized.

    The binary pixels depend on the seed and on the image alone.
    """
    return binary_pixels(images, seed, content_streams(images)) if model.params.binarize else images


def reconstruct(model: GenerativeModel, images: Images, seed: int) -> Images:
    """The expected images of the images' `z_mean`."""
    return decode(model, encode(model, as_seen(model, images, seed))[0])


def sample(
    model: GenerativeModel, count: int, seed: int, label: int | None = None
) -> Float32[np.ndarray, "{count} height width channels"]:
    """`count` expected images (count, height, width, channels) of z from the prior.

    A conditional model draws images of the class `label`, or of random classes.
    """
    return np.concatenate(
        [to_numpy(model.sample(size, part, label=label)) for size, part in sample_batches(count, seed)]
    )


def sample_batches(count: int, seed: int) -> Iterator[tuple[int, int]]:
    """Sizes and seeds of the batches in which `sample` draws."""
    seeds = np.random.SeedSequence(seed).generate_state(-(-count // BATCH)) >> 1
    return ((rows.stop - rows.start, int(part)) for rows, part in zip(batches(count, BATCH), seeds, strict=True))


def batches(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def to_numpy(tensor: Tensor) -> Shaped[np.ndarray, "..."]:
    return ops.convert_to_numpy(tensor)
