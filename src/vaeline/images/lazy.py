"""Images that are made when they are read, so that a large set is never in memory as a whole."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Integer, Shaped, UInt8

from vaeline.images.arrays import to_unit
from vaeline.images.spec import ImageSpec
from vaeline.images.types import AnyImages, Images

NUMBERS_AT_ONCE = 4_000_000
READ_AT_ONCE = 250


class LazyImages:
    """Images (count, height, width, channels) that are read in parts: float32 in [0, 1], or uint8 as they are stored.

    `images[rows]`, where rows are a slice, an array of row numbers or a mask, is the array of these images, and
    `images[row]` is one of them.
    """

    __array_ufunc__ = None

    def __init__(
        self, shape: tuple[int, ...], read: Callable[[Integer[np.ndarray, " rows"]], AnyImages], dtype: str = "float32"
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._read = read

    @classmethod
    def of_bytes(cls, stored: "ByteSource") -> "LazyImages":
        """The images of uint8 levels, which may be memory-mapped."""
        return cls(stored.shape, lambda rows: to_unit(stored[rows]))

    @classmethod
    def stored(cls, parts: "ByteParts") -> "LazyImages":
        """The uint8 levels of arrays of images of one size, one array behind the other."""
        starts = first_rows(parts)
        shape = (int(starts[-1]) + len(parts[-1]), *parts[0].shape[1:])
        return cls(shape, lambda rows: _take_rows(parts, rows, starts), "uint8")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(
        self, chosen: "int | slice | Integer[np.ndarray, ' rows'] | Bool[np.ndarray, ' count']"
    ) -> AnyImages:
        if isinstance(chosen, slice):
            return self._read(np.arange(*chosen.indices(len(self))))
        rows = np.atleast_1d(chosen)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows from {rows.min()} to {rows.max()} of {len(self)} images")
        return self._read(rows) if np.ndim(chosen) else self._read(rows)[0]

    def __iter__(self) -> "Iterator[Shaped[np.ndarray, 'height width channels']]":
        for part in read_parts(self, np.arange(len(self))):
            yield from part

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

ByteParts: TypeAlias = Sequence[UInt8[np.ndarray | LazyImages, "_ height width channels"]]
"""Arrays of images uint8 of one size, whose rows are numbered one array behind the other."""


def first_rows(parts: ByteParts) -> Integer[np.ndarray, " parts"]:
    """The number of each array's first row."""
    return np.cumsum([0, *(len(part) for part in parts[:-1])])


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


def _take_rows(
    parts: ByteParts, rows: Integer[np.ndarray, " rows"], starts: Integer[np.ndarray, " parts"]
) -> UInt8[np.ndarray, "rows height width channels"]:
    """Some rows of arrays that start at the rows `starts`.

    Rows that follow each other are read as slices, which copies nothing if they are in one array.
    """
    owners = np.searchsorted(starts, rows, side="right") - 1
    if len(rows) and (np.diff(rows) == 1).all():
        found = [
            parts[owner][max(rows[0] - starts[owner], 0) : rows[-1] + 1 - starts[owner]]
            for owner in range(owners[0], owners[-1] + 1)
        ]
        return found[0] if len(found) == 1 else np.concatenate(found)
    images = np.empty((len(rows), *parts[0].shape[1:]), "uint8")
    for owner in np.unique(owners):
        inside = np.flatnonzero(owners == owner)
        images[inside] = parts[owner][rows[inside] - starts[owner]]
    return images
