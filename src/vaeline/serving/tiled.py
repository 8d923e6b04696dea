"""Scores of a whole picture by a model of tiles: its tiles are scored, and their heat maps are stitched."""

import io
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Integer, UInt8

from vaeline.defects.heat_map import image_scores, top_pixels
from vaeline.images.arrays import to_unit
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.limits import Limit
from vaeline.images.pictures import read_whole
from vaeline.images.spec import ImageSpec
from vaeline.images.tiles import Stitched, cut, extend, tile_places
from vaeline.images.types import Images
from vaeline.pyfunc.answers import Answer
from vaeline.serving.heat_maps import MAPS, SCORE, THRESHOLD
from vaeline.serving.payloads import PICTURES, short
from vaeline.serving.refusal import RefusalError
from vaeline.serving.settings import Settings


@dataclass(frozen=True)
class TiledPicture:
    """A picture, extended to the size of a tile where it is smaller, the places of its tiles, and its own size."""

    whole: UInt8[np.ndarray, "height width channels"]
    places: Integer[np.ndarray, "tiles 2"]
    size: tuple[int, int]
    spec: ImageSpec

    def tiles(self, part: slice) -> Images:
        """Some of the tiles (count, height, width, channels), float32 in [0, 1]."""
        return to_unit(cut(self.whole, self.places[part], self.spec))


def read_tiled(body: bytes, kind: str, spec: ImageSpec, settings: Settings) -> TiledPicture:
    """The picture of a body, at its own resolution. Raises RefusalError if it cannot be read."""
    try:
        picture = read_whole(
            io.BytesIO(body), spec, Limit(settings.most_pixels, "--most-pixels"), formats=(PICTURES[kind],)
        )
    except UnreadableImagesError as error:
        raise RefusalError(400, f"the picture: {short(error.reason)}") from None
    return TiledPicture(extend(picture, spec), tile_places(*picture.shape[:2], spec), picture.shape[:2], spec)


@dataclass
class TileScores:
    """The scores of a picture, while those of its tiles are added part by part."""

    picture: TiledPicture
    highest: dict[str, Float[np.ndarray, "1"]] = field(default_factory=dict)
    stitched: Stitched | None = None

    def add(self, found: Answer, part: slice) -> None:
        """Add the answer for some of the tiles."""
        if MAPS in found:
            self.stitched = self.stitched or Stitched(*self.picture.size, self.picture.spec)
            self.stitched.add(found[MAPS], self.picture.places[part])
        for name, values in found.items():
            if name != MAPS:
                self.highest[name] = np.maximum(self.highest.get(name, -np.inf), values.max(keepdims=True))

    def answer(self) -> Answer:
        """Each score is the highest of the tiles; that of the heat map is the score of the stitched map."""
        if self.stitched is None:
            return dict(self.highest)
        maps, spec = self.stitched.plane()[None], self.picture.spec
        score = image_scores(maps, top_pixels(spec.height, spec.width))
        return {**self.highest, MAPS: maps, SCORE: score, THRESHOLD: self.highest[THRESHOLD]}
