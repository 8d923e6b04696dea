"""Images that are made when they are read, so that a large set is never in memory as a whole."""

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Integer

from vaeline.images.arrays import to_unit
from vaeline.images.spec import ImageSpec
from vaeline.images.types import ByteImages, Images

NUMBERS_AT_ONCE = 4_000_000
READ_AT_ONCE = 250


class LazyImages:
    """Images float32 (count, height, width, channels) in [0, 1] that are read in parts.

    `images[rows]`, where rows are a slice or an array of row numbers, is the array of these images.
    """

    dtype = np.dtype("float32")
    __array_ufunc__ = None

    def __init__(self, shape: tuple[int, ...], read: Callable[[Integer[np.ndarray, " rows"]], Images]) -> None:
        self.shape = shape
        self._read = read

    @classmethod
    def of_bytes(cls, stored: ByteImages) -> "LazyImages":
        """The images of uint8 levels, which may be memory-mapped."""
        return cls(stored.shape, lambda rows: to_unit(stored[rows]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: "slice | Integer[np.ndarray, ' rows']") -> Images:
        return self._read(np.arange(len(self))[chosen])

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        """Refuse what NumPy would do by itself: read all images."""
        raise TypeError("these images are read in parts; images[:] reads all of them")

    def take(self, rows: Integer[np.ndarray, " rows"]) -> "LazyImages":
        """These rows of the images, still to be read."""
        return LazyImages((len(rows), *self.shape[1:]), lambda part: self._read(rows[part]))

    def changed(self, change: Callable[[Images, Integer[np.ndarray, " rows"]], Images]) -> "LazyImages":
        """The images after a change that keeps their size; `change` is called with a part and its row numbers."""
        return LazyImages(self.shape, lambda rows: change(self._read(rows), rows))


ImageSource: TypeAlias = Float32[np.ndarray | LazyImages, "count height width channels"]
"""Images float32 in [0, 1]: an array, or images that are read in parts."""


def rows_at_once(most: int, image: ImageSpec) -> int:
    """How many images a model computes at once: `most`, or fewer if they are large, at least one."""
    return max(1, min(most, NUMBERS_AT_ONCE // image.dimensions))


def variance(images: ImageSource) -> float:
    """The variance of all numbers of the images."""
    numbers, total, squares = math.prod(images.shape), 0.0, 0.0
    for start in range(0, len(images), READ_AT_ONCE):
        part = images[start : start + READ_AT_ONCE].astype("float64")
        total, squares = total + part.sum(), squares + np.square(part).sum()
    return float(squares / numbers - (total / numbers) ** 2)
