"""A model applied to many images or latents, batch by batch.

Images are float32 (count, height, width, channels) in [0, 1], or binary where the model was trained on binary pixels.
A batch has up to 500 images, fewer if they are large.
"""

from collections.abc import Iterator
from tempfile import TemporaryFile

import numpy as np
from jaxtyping import Float, Float32, Shaped
from keras import ops

from vaeline.evaluation.noise import binary_pixels, content_streams
from vaeline.images.lazy import ImageSource, rows_at_once
from vaeline.images.types import Images, Labels, Tensor
from vaeline.models.generative import GenerativeModel

BATCH = 500
MOST_NUMBERS = 2**26  # of latents in memory


def encode(
    model: GenerativeModel, images: ImageSource, labels: Labels | None = None
) -> tuple[Float[np.ndarray, "count latent_dim"], Float[np.ndarray, "count noise_dim"]]:
    """`z_mean` (count, latent_dim) and `z_log_var` (count, noise_dim) of all images.

    A conditional model is conditioned on `labels` (count,). Without them it uses its own guess of the label. Many
    latents, such as the grids of codes of 100,000 images, are in a temporary file that is mapped into memory.
    """
    found = [_room(len(images), size) for size in (model.latent_dim, model.noise_dim)]
    for rows in image_batches(model, len(images)):
        parts = model.encode(images[rows], None if labels is None else labels[rows])
        for whole, part in zip(found, parts, strict=True):
            whole[rows] = to_numpy(part)
    return found[0], found[1]


def decode(
    model: GenerativeModel, z: Float[np.ndarray, "*rows latent_dim"]
) -> Float32[np.ndarray, "*rows height width channels"]:
    """The expected images (…, height, width, channels) of latents (…, latent_dim)."""
    flat = z.reshape(-1, z.shape[-1])
    images = np.concatenate(list(decoded_batches(model, flat)))
    return images.reshape(*z.shape[:-1], *images.shape[1:])


def decoded_batches(
    model: GenerativeModel, z: Float[np.ndarray, "count latent_dim"]
) -> Iterator[Float32[np.ndarray, "_ height width channels"]]:
    """The expected images of latents (count, latent_dim), in the batches of `image_batches`."""
    return (to_numpy(model.decode(z[rows])) for rows in image_batches(model, len(z)))


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
    return np.concatenate(list(sampled_batches(model, count, seed, label)))


def sampled_batches(
    model: GenerativeModel, count: int, seed: int, label: int | None = None
) -> Iterator[Float32[np.ndarray, "_ height width channels"]]:
    """What `sample` gives, in parts."""
    for size, part in sample_batches(count, seed):
        yield from decoded_batches(model, to_numpy(model.draw_latents(size, part, label=label)))


def sample_batches(count: int, seed: int) -> Iterator[tuple[int, int]]:
    """Sizes and seeds of the batches in which `sample` draws latents."""
    seeds = np.random.SeedSequence(seed).generate_state(-(-count // BATCH)) >> 1
    return ((rows.stop - rows.start, int(part)) for rows, part in zip(batches(count, BATCH), seeds, strict=True))


def image_batches(model: GenerativeModel, count: int) -> Iterator[slice]:
    """The rows of each batch of `count` images of a model, or of their latents."""
    return batches(count, rows_at_once(BATCH, model.image))


def batches(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _room(count: int, size: int) -> Float32[np.ndarray, "{count} {size}"]:
    if count * size <= MOST_NUMBERS:
        return np.empty((count, size), "float32")
    with TemporaryFile() as file:  # the map keeps it open
        return np.memmap(file, "float32", "w+", shape=(count, size))


def to_numpy(tensor: Tensor) -> Shaped[np.ndarray, "..."]:
    return ops.convert_to_numpy(tensor)
