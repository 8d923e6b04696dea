"""Faults of single pixels: specks of an image, and pixels that are dead in a whole split."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Integer, Shaped

from vaeline.images.lazy import AnySource, read_parts
from vaeline.images.types import AnyImages

SPECK = 64  # levels
LEAST_ROWS = 300
"""In fewer images a pixel can be constant by chance."""
DEAD, LIVELY = 0.1, 0.5

Places: TypeAlias = Bool[np.ndarray, "height width channels"]


def count_specks(images: AnyImages) -> Integer[np.ndarray, " count"]:
    """The number of specks of each image (count, height, width, channels), of all its channels.

    A speck is a pixel inside the image that differs from eight equal neighbours, or is more than 64 levels above the
    highest or below the lowest of its neighbours.
    """
    low, high = (_extreme_neighbours(images, extreme) for extreme in (np.minimum, np.maximum))
    inner = images[:, 1:-1, 1:-1]
    specks = (low == high) & (inner != low)
    specks |= (inner > high) & (inner - high > SPECK)  # bytes do not fall below 0 where the first condition holds
    specks |= (inner < low) & (low - inner > SPECK)
    return specks.sum(axis=(1, 2, 3))


def find_dead_pixels(images: AnySource) -> Places:
    """The pixels (height, width, channels) that hardly change from image to image, though pixels beside them do.

    The deviation of a dead pixel over the images is less than a tenth of that of at least two of its four neighbours,
    and these have at least half of the highest deviation of all pixels. A constant margin is therefore not dead.
    Of fewer than 300 images, none is dead.
    """
    shape = images.shape[1:]
    if len(images) < LEAST_ROWS:
        return np.zeros(shape, bool)
    total, squares = np.zeros(shape), np.zeros(shape)
    for part in read_parts(images, np.arange(len(images))):
        levels = part.astype("float64") if part.dtype.kind != "f" else np.nan_to_num(part.astype("float64"))
        total += levels.sum(axis=0)
        squares += np.square(levels, out=levels).sum(axis=0)
    deviation = np.sqrt(np.maximum(squares / len(images) - (total / len(images)) ** 2, 0))
    around = np.pad(deviation, ((1, 1), (1, 1), (0, 0)))
    beside = np.stack([around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]])
    second = np.sort(beside, axis=0)[-2]
    return (second > LIVELY * deviation.max()) & (deviation < DEAD * second)


def _extreme_neighbours(images: AnyImages, extreme: np.ufunc) -> Shaped[np.ndarray, "count height-2 width-2 channels"]:
    """The lowest or the highest of the eight neighbours of each pixel inside the images."""
    rows = extreme(extreme(images[:, :, :-2], images[:, :, 1:-1]), images[:, :, 2:])
    beside = extreme(images[:, 1:-1, :-2], images[:, 1:-1, 2:])
    return extreme(extreme(rows[:, :-2], rows[:, 2:]), beside)
