"""Batches, read through a memory map. Their order and their binary pixels depend only on (seed, epoch)."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Integer

from vaeline.images.arrays import binarize, to_unit
from vaeline.images.lazy import AnySource
from vaeline.images.types import Labels

Pixels = TypeVar("Pixels", bound=AnySource)
PIXEL_STREAM, MIRROR_STREAM, SHIFT_STREAM = 1, 3, 4
AHEAD = 2

Item = TypeVar("Item")


class Examples(NamedTuple, Generic[Pixels]):
    """Images (count, height, width, channels) uint8, in memory or in shards, and their labels (count,)."""

    images: Pixels
    labels: Labels


def epoch_order(count: int, seed: int, epoch: int) -> Integer[np.ndarray, " {count}"]:
    """The order of `count` images in `epoch`."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def shuffled_batches(examples: Examples, batch_size: int, seed: int, epoch: int) -> Iterator[Examples]:
    """Batches of one epoch, the images float32 in [0, 1]; the last one may be smaller."""
    order = epoch_order(len(examples.images), seed, epoch)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        yield Examples(to_unit(examples.images[rows]), examples.labels[rows])


def ordered_batches(examples: Examples, batch_size: int) -> Iterator[Examples]:
    """Batches of all images in their own order, the images float32 in [0, 1]."""
    for start in range(0, len(examples.images), batch_size):
        rows = slice(start, start + batch_size)
        yield Examples(to_unit(examples.images[rows]), examples.labels[rows])


def mirrored(batches: Iterable[Examples], seed: int, epoch: int) -> Iterator[Examples]:
    """The batches with each image mirrored, left to right, with a probability of one half."""
    rng = np.random.default_rng([seed, epoch, MIRROR_STREAM])
    for images, labels in batches:
        turned = rng.random(len(images)) < 0.5
        yield Examples(np.where(turned[:, None, None, None], images[:, :, ::-1], images), labels)


def shifted(batches: Iterable[Examples], seed: int, epoch: int, most: int) -> Iterator[Examples]:
    """The batches with each image moved by up to `most` pixels in each direction; its edge is repeated beside it."""
    rng = np.random.default_rng([seed, epoch, SHIFT_STREAM])
    for images, labels in batches:
        height, width = images.shape[1:3]
        padded = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
        starts = rng.integers(0, 2 * most + 1, (len(images), 2))
        moved = [image[y : y + height, x : x + width] for image, (y, x) in zip(padded, starts, strict=True)]
        yield Examples(np.stack(moved), labels)


def binarized(batches: Iterable[Examples], seed: int, epoch: int) -> Iterator[Examples]:
    """The batches with binary pixels, drawn anew from the grey values: dynamic binarization (Burda et al. 2016).

    The model does not draw them, because inside XLA on a CPU the draws take longer than the training step.
    """
    rng = np.random.default_rng([seed, epoch, PIXEL_STREAM])
    for images, labels in batches:
        uniform = rng.random(images.shape, dtype="float32")
        yield Examples(binarize(images, uniform), labels)


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The same items in the same order; a thread makes up to `AHEAD` of them before they are asked for."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as thread:
        waiting: deque[Any] = deque(thread.submit(next, iterator, end) for _ in range(AHEAD))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(thread.submit(next, iterator, end))
            yield item
