"""Large pictures as overlapping tiles of the model's size, and maps of tiles as one map of the picture.

Tiles cover a picture at its own resolution. They stand in rows and columns that are spread evenly, so that neighbours
overlap by a quarter of a side at least and no tile is cut off. A picture that is smaller than a tile is one tile, with
the background beside it.
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float, Float32, Integer, Shaped, UInt8
from PIL import ImageColor

from vaeline.images.limits import Limit
from vaeline.images.pictures import MODES, read_picture, read_whole
from vaeline.images.spec import ImageSpec

OVERLAP = 0.25


def starts_of(side: int, tile: int) -> Integer[np.ndarray, " tiles"]:
    """The first pixels of the tiles along a side of a picture."""
    if side <= tile:
        return np.zeros(1, int)
    count = 1 + -(-(side - tile) // int(tile * (1 - OVERLAP)))
    return np.rint(np.linspace(0, side - tile, count)).astype(int)


def tile_places(height: int, width: int, spec: ImageSpec) -> Integer[np.ndarray, "tiles 2"]:
    """The first row and column of each tile of a picture (tiles, 2), in reading order."""
    rows, columns = starts_of(height, spec.height), starts_of(width, spec.width)
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def count_tiles(height: int, width: int, spec: ImageSpec) -> int:
    """The number of tiles of a picture; one if `spec` does not want tiles."""
    return len(starts_of(height, spec.height)) * len(starts_of(width, spec.width)) if spec.tile else 1


def extend(
    picture: UInt8[np.ndarray, "height width channels"], spec: ImageSpec
) -> UInt8[np.ndarray, "_height _width channels"]:
    """The picture with the background at its right and below, if it is smaller than a tile."""
    height, width, channels = picture.shape
    if height >= spec.height and width >= spec.width:
        return picture
    whole = np.empty((max(height, spec.height), max(width, spec.width), channels), "uint8")
    whole[:] = ImageColor.getcolor(spec.background, MODES[channels])
    whole[:height, :width] = picture
    return whole


def cut(
    picture: Shaped[np.ndarray, "height width *channels"],
    places: Integer[np.ndarray, "tiles 2"],
    spec: ImageSpec,
) -> Shaped[np.ndarray, "tiles {spec.height} {spec.width} *channels"]:
    """The tiles at these places of a picture that is at least as large as a tile."""
    return np.stack([picture[top : top + spec.height, left : left + spec.width] for top, left in places])


def tiles_of(
    picture: UInt8[np.ndarray, "height width channels"], spec: ImageSpec
) -> UInt8[np.ndarray, "tiles {spec.height} {spec.width} channels"]:
    """All tiles of a picture, in reading order."""
    return cut(extend(picture, spec), tile_places(*picture.shape[:2], spec), spec)


def read_tiles(
    source: Path | BinaryIO, spec: ImageSpec, most_pixels: Limit, invert: bool = False
) -> UInt8[np.ndarray, "tiles {spec.height} {spec.width} {spec.channels}"]:
    """All tiles of one picture, which is read as by `read_picture` but keeps its size.

    If `spec` does not want tiles, it is one image, fitted.

    Raises:
        UnreadableImagesError: as `read_picture`.
    """
    if not spec.tile:
        return read_picture(source, spec, most_pixels, invert)[None]
    return tiles_of(read_whole(source, spec, most_pixels, invert), spec)


class Stitched:
    """A plane of a whole picture that is made of the planes of its tiles, added one after the other.

    Where tiles overlap, it is their weighted mean; the weight of a tile falls evenly from its centre to its edges.
    """

    def __init__(self, height: int, width: int, spec: ImageSpec, channels: tuple[int, ...] = ()) -> None:
        self._size = height, width
        self._spec = spec
        shape = max(height, spec.height), max(width, spec.width)
        self._sums = np.zeros((*shape, *channels), "float32")
        self._weights = [_weights(side) for side in (spec.height, spec.width)]
        self._totals = [_covered(own, side) for own, side in zip(self._weights, shape, strict=True)]

    def add(
        self, planes: Float[np.ndarray, "tiles height width *channels"], places: Integer[np.ndarray, "tiles 2"]
    ) -> None:
        """Add the planes of the tiles at these places."""
        weights = np.outer(*self._weights).astype("float32")
        weights = weights.reshape(*weights.shape, *[1] * (planes.ndim - 3))
        for plane, (top, left) in zip(planes, places, strict=True):
            self._sums[top : top + self._spec.height, left : left + self._spec.width] += weights * plane

    def plane(self) -> Float32[np.ndarray, "height width *channels"]:
        """The plane, after all tiles were added. The sums are divided in place, so this is the last call."""
        rows, columns = (total.astype("float32") for total in self._totals)
        extra = [1] * (self._sums.ndim - 2)
        self._sums /= rows.reshape(-1, 1, *extra)
        self._sums /= columns.reshape(-1, *extra)
        return self._sums[: self._size[0], : self._size[1]]


def _weights(side: int) -> Float[np.ndarray, " side"]:
    places = np.arange(side)
    return np.minimum(places + 1, side - places) / side


def _covered(own: Float[np.ndarray, " tile"], side: int) -> Float[np.ndarray, " side"]:
    """The sum of the weights of all tiles along a side."""
    found = np.zeros(side)
    for start in starts_of(side, len(own)):
        found[start : start + len(own)] += own
    return found
