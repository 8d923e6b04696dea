"""Whole pictures: each is an image, or is cut into tiles whose maps are stitched to a map of the picture."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Integer, UInt8

from vaeline.data.prepared import Split
from vaeline.defects.moments import FOLDS, parts_of
from vaeline.errors import VaelineError
from vaeline.images.arrays import to_unit
from vaeline.images.lazy import ByteSource, LazyImages
from vaeline.images.spec import ImageSpec
from vaeline.images.tiles import Stitched, tile_places
from vaeline.images.types import HeatMaps, Images

Look: TypeAlias = Callable[
    [Images, Integer[np.ndarray, " rows"]], tuple[HeatMaps, dict[str, Float[np.ndarray, " rows"]]]
]
"""What gives the heat maps and the scores by name of images, which are these rows of a set."""


@dataclass(frozen=True)
class Seen:
    """Heat maps of some pictures of one size, their scores by name, and where they are defective, if that is known.

    A score of a picture that is cut into tiles is the highest score of its tiles.
    """

    maps: HeatMaps
    scores: dict[str, Float[np.ndarray, " count"]]
    defective: Bool[np.ndarray, "count height width"] | None


@dataclass(frozen=True)
class PictureSet:
    """Images (count, height, width, channels), whole pictures or their tiles.

    owners (count,): the number of the picture that an image is a tile of; None if no picture is cut. Tiles of a picture
    stand side by side, in reading order. sizes (count, 2): height and width of that picture.
    """

    images: ByteSource
    owners: Integer[np.ndarray, " count"] | None = None
    sizes: Integer[np.ndarray, "count 2"] | None = None

    @classmethod
    def of_split(cls, split: Split) -> "PictureSet":
        """The pictures of a split. An image without a picture is a picture of its own, in the size of a tile."""
        if split.pictures is None or split.source_sizes is None:
            return cls(split.images)
        alone = split.pictures < 0
        owners = np.where(alone, -1 - np.arange(len(alone)), split.pictures)
        return cls(split.images, owners, np.where(alone[:, None], split.images.shape[1:3], split.source_sizes))

    @property
    def rows(self) -> Integer[np.ndarray, " count"]:
        """The rows of all images."""
        return np.arange(len(self.images))

    @property
    def spec(self) -> ImageSpec:
        """The size of an image or a tile."""
        return ImageSpec.of_shape(self.images.shape).model_copy(update={"tile": self.owners is not None})

    def numbers(self, rows: Integer[np.ndarray, " rows"]) -> Integer[np.ndarray, " rows"]:
        """For each of some rows the number of its picture, counted from 0 in the order of the rows."""
        if self.owners is None:
            return np.arange(len(rows))
        owners = self.owners[rows]
        return np.cumsum(np.concatenate([[False], owners[1:] != owners[:-1]])) if len(rows) else rows

    def firsts(self, rows: Integer[np.ndarray, " rows"]) -> Integer[np.ndarray, " pictures"]:
        """The first of the rows of each picture."""
        return rows[self._starts(rows)]

    def folds(self) -> Integer[np.ndarray, " count"]:
        """The fold of each image. Pictures take turns, and the tiles of a picture are in one fold."""
        numbers = self.numbers(self.rows)
        return numbers % min(int(numbers[-1]) + 1, FOLDS)

    def first(self, most: int, seed: int) -> "PictureSet":
        """Up to `most` images of pictures that are drawn by the seed, whole pictures, at least two of them."""
        if len(self.images) <= most:
            return self
        numbers = self.numbers(self.rows)
        drawn = np.random.default_rng(seed).permutation(int(numbers[-1]) + 1)
        fitting = int((np.cumsum(np.bincount(numbers)[drawn]) <= most).sum())
        kept = np.flatnonzero(np.isin(numbers, drawn[: max(2, fitting)]))
        more = () if self.owners is None or self.sizes is None else (self.owners[kept], self.sizes[kept])
        return PictureSet(LazyImages.stored([self.images]).take(kept), *more)

    def highest(
        self, values: Float[np.ndarray, " count"], rows: Integer[np.ndarray, " rows"]
    ) -> Float[np.ndarray, " pictures"]:
        """For each picture of some rows the highest of the values of its images."""
        if self.owners is None:
            return values[rows]
        return np.maximum.reduceat(values[rows], self._starts(rows))

    def assemble(self, tiles: ByteSource, row: int) -> UInt8[np.ndarray, "_height _width channels"]:
        """The whole picture that an image belongs to, from `tiles` of all images, which may be their masks."""
        if self.owners is None or self.sizes is None:
            return tiles[row : row + 1][0]
        height, width = self.sizes[row]
        rows = np.flatnonzero(self.owners == self.owners[row])
        whole = np.zeros((max(height, tiles.shape[1]), max(width, tiles.shape[2]), tiles.shape[3]), "uint8")
        for tile, (top, left) in zip(tiles[rows], tile_places(height, width, self.spec), strict=True):
            whole[top : top + len(tile), left : left + tile.shape[1]] = tile
        return whole[:height, :width]

    def look(self, rows: Integer[np.ndarray, " rows"], look: Look, masks: ByteSource | None = None) -> Iterator[Seen]:
        """What `look` finds in the pictures of some rows, and where `masks` (count, height, width, 1) are defective.

        Images are read in parts. Of a picture that is cut into tiles, only its map is in memory as a whole.

        Raises:
            VaelineError: a picture has another number of tiles than its size needs.
        """
        if self.owners is None or self.sizes is None:
            for part in parts_of(self.images, rows):
                maps, scores = look(to_unit(self.images[part]), part)
                yield Seen(maps, scores, None if masks is None else masks[part][..., 0] > 0)
            return
        for tiles in np.split(rows, np.flatnonzero(np.diff(self.numbers(rows))) + 1):
            yield self._stitched(tiles, tuple(self.sizes[tiles[0]]), look, masks)

    def _starts(self, rows: Integer[np.ndarray, " rows"]) -> Integer[np.ndarray, " pictures"]:
        """Where each picture begins among some rows."""
        return np.flatnonzero(np.diff(self.numbers(rows), prepend=-1))

    def _stitched(
        self, rows: Integer[np.ndarray, " rows"], size: tuple[int, int], look: Look, masks: ByteSource | None
    ) -> Seen:
        places = tile_places(*size, self.spec)
        if len(places) != len(rows):
            raise VaelineError(f"a picture of {size[0]} × {size[1]} has {len(rows)} tiles, but it needs {len(places)}")
        stitched, found = Stitched(*size, self.spec), []
        defective = None if masks is None else np.zeros((1, *size), bool)
        for part in parts_of(self.images, np.arange(len(rows))):
            maps, scores = look(to_unit(self.images[rows[part]]), rows[part])
            stitched.add(maps, places[part])
            found.append(scores)
            if defective is not None and masks is not None:
                for mask, (top, left) in zip(masks[rows[part]], places[part], strict=True):
                    area = defective[0, top : top + mask.shape[0], left : left + mask.shape[1]]
                    area |= mask[: area.shape[0], : area.shape[1], 0] > 0
        highest = {name: np.array([max(float(scores[name].max()) for scores in found)]) for name in found[0]}
        return Seen(stitched.plane()[None], highest, defective)
