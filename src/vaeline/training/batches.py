"""Batches read through a memory map, in an order that is a function of (seed, epoch) alone."""

from collections.abc import Iterator

import numpy as np

from vaeline.data.prepared import scale


def epoch_order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The order in which `count` images are seen in `epoch`."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def shuffled_batches(images: np.ndarray, batch_size: int, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """Float32 batches (batch, height, width) of one epoch; the last one may be smaller."""
    order = epoch_order(len(images), seed, epoch)
    for start in range(0, len(images), batch_size):
        yield scale(images[order[start : start + batch_size]])


def ordered_batches(images: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Float32 batches (batch, height, width) of all images in their own order."""
    for start in range(0, len(images), batch_size):
        yield scale(images[start : start + batch_size])


def mean_image(images: np.ndarray, batch_size: int = 8192) -> np.ndarray:
    """The mean of all images (height, width) in [0, 1], read `batch_size` at a time."""
    batches = (images[start : start + batch_size] for start in range(0, len(images), batch_size))
    return sum(batch.sum(axis=0, dtype="float64") for batch in batches) / (255 * len(images))
