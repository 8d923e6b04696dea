"""Pictures examined for defects: their scores, their heat maps, and the regions that stand out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8
from scipy.ndimage import find_objects, label

from vaeline.anomaly.one_class import scores_by_content
from vaeline.defects.heat_map import MapStatistics, image_scores, top_pixels
from vaeline.defects.moments import PART_NUMBERS, parts_of
from vaeline.defects.pixels import EIGHT_NEIGHBOURS
from vaeline.evaluation.group import Density
from vaeline.evaluation.inference import reconstruct
from vaeline.images.arrays import to_unit
from vaeline.images.tiles import Stitched, cut, extend, tile_places
from vaeline.images.types import HeatMaps, Images
from vaeline.models.generative import GenerativeModel
from vaeline.scores import HEAT_MAP


@dataclass(frozen=True)
class Examined:
    """A picture's scores by name, what the model expects in its place, and its heat map in standard deviations."""

    scores: dict[str, float]
    reconstruction: Float[np.ndarray, "height width channels"]
    heat_map: Float32[np.ndarray, "height width"] | None


@dataclass(frozen=True)
class Region:
    """A rectangle around connected pixels that stand out: x and y of its top left corner, and its size, in pixels.

    surprise: the highest value of the heat map in it, in standard deviations.
    """

    x: int
    y: int
    width: int
    height: int
    surprise: float


@dataclass(frozen=True)
class Examiner:
    """A model, densities of training images, and the seed of the noise of the scores.

    statistics: those of the model's heat maps; without them there are no heat maps.
    """

    model: GenerativeModel
    densities: Mapping[str, Density]
    statistics: MapStatistics | None
    seed: int

    def examine(self, images: Images) -> Iterator[Examined]:
        """Examine images (count, height, width, channels) in the model's size, a bounded number of them at a time."""
        top = top_pixels(*images.shape[1:3])
        for rows in parts_of(images, np.arange(len(images))):
            seen = self._look(images[rows])
            if seen.maps is not None:
                seen.scores[HEAT_MAP] = image_scores(seen.maps, top)
            for row in range(len(rows)):
                found = {name: float(values[row]) for name, values in seen.scores.items()}
                yield Examined(found, seen.expected[row], None if seen.maps is None else seen.maps[row])

    def examine_tiled(self, picture: UInt8[np.ndarray, "height width channels"]) -> Examined:
        """Examine a picture of any size by tiles of the model's size, a bounded number of them at a time.

        Reconstruction and map of the picture are stitched, and its score is that of the stitched map. The other scores
        are the highest of its tiles.
        """
        spec, (height, width, channels) = self.model.image, picture.shape
        whole, places = extend(picture, spec), tile_places(height, width, spec)
        expected, maps = Stitched(height, width, spec, (channels,)), Stitched(height, width, spec)
        scores: dict[str, float] = {}
        size = max(1, PART_NUMBERS // spec.dimensions)
        for start in range(0, len(places), size):
            some = places[start : start + size]
            seen = self._look(to_unit(cut(whole, some, spec)))
            expected.add(seen.expected, some)
            if seen.maps is not None:
                maps.add(seen.maps, some)
            for name, values in seen.scores.items():
                scores[name] = max(scores.get(name, -np.inf), float(values.max()))
        if self.statistics is None:
            return Examined(scores, expected.plane(), None)
        plane = maps.plane()
        scores[HEAT_MAP] = float(image_scores(plane[None], top_pixels(spec.height, spec.width))[0])
        return Examined(scores, expected.plane(), plane)

    def _look(self, images: Images) -> "_Looked":
        expected = reconstruct(self.model, images, self.seed)
        maps = None if self.statistics is None else self.statistics.heat_maps(images, expected)
        return _Looked(scores_by_content(self.model, images, self.seed, self.densities), expected, maps)


@dataclass(frozen=True)
class _Looked:
    """What is found in some images: their scores by name, what the model expects, and their heat maps, if any."""

    scores: dict[str, Float[np.ndarray, " count"]]
    expected: Images
    maps: HeatMaps | None


def find_regions(heat_map: Float32[np.ndarray, "height width"], threshold: float) -> list[Region]:
    """The regions above a threshold, the most surprising first. Pixels that touch, also by a corner, are one region."""
    numbers, _ = label(heat_map > threshold, EIGHT_NEIGHBOURS)
    found = []
    for number, (rows, columns) in enumerate(find_objects(numbers), 1):
        highest = heat_map[rows, columns][numbers[rows, columns] == number].max()
        size = columns.stop - columns.start, rows.stop - rows.start
        found.append(Region(columns.start, rows.start, *size, float(highest)))
    return sorted(found, key=lambda region: -region.surprise)
