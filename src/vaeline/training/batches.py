"""Batches read through a memory map, in an order that is a function of (seed, epoch) alone."""

from collections.abc import Iterator

import keras
import numpy as np

from vaeline.data.prepared import scale


def epoch_order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The order in which `count` images are seen in `epoch`; a shuffled resume needs no hidden state."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def training_batches(
    images: np.ndarray, batch_size: int, seed: int, epochs: range
) -> Iterator[tuple[np.ndarray]]:
    """One-tuples of float32 batches (batch, height, width), epoch after epoch."""
    for epoch in epochs:
        order = epoch_order(len(images), seed, epoch)
        for start in range(0, len(images), batch_size):
            yield (scale(images[order[start : start + batch_size]]),)


class OrderedBatches(keras.utils.PyDataset):
    """All images in their own order, `batch_size` at a time."""

    def __init__(self, images: np.ndarray, batch_size: int):
        super().__init__()
        self.images = images
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.images) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray]:
        return (scale(self.images[index * self.batch_size : (index + 1) * self.batch_size]),)


def mean_image(images: np.ndarray, batch_size: int = 8192) -> np.ndarray:
    """The mean of all images (height, width) in [0, 1], read `batch_size` at a time."""
    batches = range(0, len(images), batch_size)
    return sum(images[start : start + batch_size].sum(axis=0, dtype="float64") for start in batches) / (
        255 * len(images)
    )
