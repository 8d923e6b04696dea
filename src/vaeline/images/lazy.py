"""Images that are made when they are read, so that a large set is never in memory as a whole."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Integer, Shaped, UInt8

from vaeline.images.arrays import to_unit
from vaeline.images.spec import ImageSpec
from vaeline.images.types import AnyImages, ByteImages, Images

NUMBERS_AT_ONCE = 4_000_000
READ_AT_ONCE = 250


class LazyImages:
    """Images (count, height, width, channels) that are read in parts: float32 in [0, 1], or uint8 as they are stored.

    `images[rows]`, where rows are a slice or an array of row numbers, is the array of these images.
    """

    __array_ufunc__ = None

    def __init__(
        self, shape: tuple[int, ...], read: Callable[[Integer[np.ndarray, " rows"]], AnyImages], dtype: str = "float32"
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._read = read

    @classmethod
    def of_bytes(cls, stored: ByteImages) -> "LazyImages":
        """The images of uint8 levels, which may be memory-mapped."""
        return cls(stored.shape, lambda rows: to_unit(stored[rows]))

    @classmethod
    def stored(cls, parts: "Sequence[np.ndarray | LazyImages]") -> "LazyImages":
        """The uint8 levels of arrays of images of one size, one array behind the other."""
        shape = (sum(map(len, parts)), *parts[0].shape[1:])
        return cls(shape, lambda rows: take_rows(parts, rows), "uint8")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: "slice | Integer[np.ndarray, ' rows']") -> AnyImages:
        return self._read(np.arange(len(self))[chosen])

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        """Refuse what NumPy would do by itself: read all images."""
        raise TypeError("these images are read in parts; images[:] reads all of them")

    def take(self, rows: Integer[np.ndarray, " rows"]) -> "LazyImages":
        """These rows of the images, still to be read."""
        return LazyImages((len(rows), *self.shape[1:]), lambda part: self._read(rows[part]), self.dtype.name)

    def changed(self, change: Callable[[Images, Integer[np.ndarray, " rows"]], Images]) -> "LazyImages":
        """The images after a change that keeps their size; `change` is called with a part and its row numbers."""
        return LazyImages(self.shape, lambda rows: change(self._read(rows), rows))


ImageSource: TypeAlias = Float32[np.ndarray | LazyImages, "count height width channels"]
"""Images float32 in [0, 1]: an array, or images that are read in parts."""

ByteSource: TypeAlias = UInt8[np.ndarray | LazyImages, "count height width channels"]
"""Images uint8: an array, which may be memory-mapped, or images that are read in parts."""

AnySource: TypeAlias = Shaped[np.ndarray | LazyImages, "count height width channels"]
"""Images of any dtype: an array, which may be memory-mapped, or images that are read in parts."""


def take_rows(
    parts: Sequence[UInt8[np.ndarray | LazyImages, "_ height width channels"]], rows: Integer[np.ndarray, " rows"]
) -> UInt8[np.ndarray, "rows height width channels"]:
    """Some rows of arrays of images of one size, whose rows are numbered one array behind the other."""
    images, first = np.empty((len(rows), *parts[0].shape[1:]), "uint8"), 0
    for part in parts:
        inside = (rows >= first) & (rows < first + len(part))
        images[inside] = part[rows[inside] - first]
        first += len(part)
    return images


def read_parts(
    images: AnySource, rows: Integer[np.ndarray, " rows"]
) -> Iterator[Shaped[np.ndarray, "_ height width channels"]]:
    """Some rows of images in their order, as many at a time as have `NUMBERS_AT_ONCE` numbers, at least one."""
    size = max(1, NUMBERS_AT_ONCE // math.prod(images.shape[1:]))
    return (images[rows[start : start + size]] for start in range(0, len(rows), size))


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
