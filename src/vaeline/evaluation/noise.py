"""The noise of an image. It depends only on (seed, index), so all models use the same draws for an image."""

import zlib

import numpy as np
from jaxtyping import Float32, Integer

from vaeline.images.arrays import binarize
from vaeline.images.types import Images

PIXEL_STREAM = 1


def latent_noise(
    seed: int, indices: Integer[np.ndarray, " count"], samples: int, noise_dim: int
) -> Float32[np.ndarray, "count {samples} {noise_dim}"]:
    """Standard normal draws (len(indices), samples, noise_dim), float32; more samples keep the earlier ones."""
    return np.stack(
        [
            np.random.default_rng([seed, index]).standard_normal((samples, noise_dim), dtype="float32")
            for index in indices
        ]
    )


def binary_pixels(images: Images, seed: int, indices: Integer[np.ndarray, " count"]) -> Images:
    """One Bernoulli draw of each value in [0, 1] of images (count, height, width, channels), float32."""
    uniform = [np.random.default_rng([seed, index, PIXEL_STREAM]).random(images.shape[1:]) for index in indices]
    return binarize(images, np.stack(uniform))


def content_streams(images: Images) -> Integer[np.ndarray, " count"]:
    """The noise stream of each image, from its content. What is drawn for it does not depend on the other images."""
    return np.array([zlib.crc32(image.tobytes()) for image in images])


def subset(count: int, size: int, seed: int) -> Integer[np.ndarray, " chosen"]:
    """Up to `size` of `count` rows, in order; a larger subset with the same seed contains a smaller one."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:size])
