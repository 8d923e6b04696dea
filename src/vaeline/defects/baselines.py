"""Baselines that reconstruct images from training images alone: principal components, and the nearest neighbour.

Images are float32 (count, height, width, channels) in [0, 1]. Training images are uint8 and are read in parts, so that
memory does not grow with their number.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from vaeline.images.arrays import to_unit
from vaeline.images.lazy import ByteSource
from vaeline.images.types import Images

PART_NUMBERS = 1 << 23
OVERSAMPLING = 10
ITERATIONS = 6


@dataclass(frozen=True)
class PrincipalComponents:
    """The mean (numbers,) of flat images and their first principal components (components, numbers)."""

    mean: Float32[np.ndarray, " numbers"]
    components: Float32[np.ndarray, "components numbers"]

    def reconstruct(self, images: Images) -> Images:
        """The images, projected onto the components."""
        flat = images.reshape(len(images), -1) - self.mean
        return (flat @ self.components.T @ self.components + self.mean).reshape(images.shape)


def fit_components(images: ByteSource, count: int, seed: int) -> PrincipalComponents:
    """The first `count` principal components of training images, or as many as there are.

    Randomized subspace iteration (Halko et al. 2011, algorithm 4.4): each round reads the images once.
    """
    numbers = int(np.prod(images.shape[1:]))
    mean = (sum(flat.sum(axis=0, dtype="float64") for flat in _flat_parts(images)) / len(images)).astype("float32")
    wanted = min(count, len(images) - 1, numbers)
    size = min(wanted + OVERSAMPLING, numbers)
    basis = np.random.default_rng(seed).standard_normal((numbers, size), dtype="float32")
    for _ in range(ITERATIONS):
        basis = np.linalg.qr(_covariance_times(images, mean, basis))[0]
    projected = sum(part.T @ part for part in ((flat - mean) @ basis for flat in _flat_parts(images)))
    _, vectors = np.linalg.eigh(np.asarray(projected, "float64"))
    return PrincipalComponents(mean, (basis @ vectors[:, ::-1][:, :wanted].astype("float32")).T)


def nearest_neighbours(training: ByteSource) -> Callable[[Images], Images]:
    """The function that gives for each image the training image with the least squared distance of pixels."""

    def find(images: Images) -> Images:
        flat = images.reshape(len(images), -1)
        least, nearest = np.full(len(images), np.inf), np.zeros(len(images), int)
        start = 0
        for part in _flat_parts(training):
            distances = (part**2).sum(axis=1) - 2 * flat @ part.T
            found = distances.argmin(axis=1)
            closest = distances[np.arange(len(images)), found]
            nearest = np.where(closest < least, start + found, nearest)
            least = np.minimum(closest, least)
            start += len(part)
        return to_unit(training[nearest])

    return find


def _flat_parts(images: ByteSource) -> Iterator[Float32[np.ndarray, "part numbers"]]:
    rows = max(1, PART_NUMBERS // int(np.prod(images.shape[1:])))
    for start in range(0, len(images), rows):
        part = to_unit(images[start : start + rows])
        yield part.reshape(len(part), -1)


def _covariance_times(
    images: ByteSource, mean: Float32[np.ndarray, " numbers"], basis: Float32[np.ndarray, "numbers size"]
) -> Float32[np.ndarray, "numbers size"]:
    parts = (flat - mean for flat in _flat_parts(images))
    return sum((part.T @ (part @ basis) for part in parts), np.zeros_like(basis)) / np.float32(len(images))
