"""Pictures examined for defects: their scores, their heat maps, and the regions that stand out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from scipy.ndimage import find_objects, label, maximum

from vaeline.anomaly.one_class import scores_by_content
from vaeline.defects.heat_map import MapStatistics, image_scores, top_pixels
from vaeline.defects.moments import parts_of
from vaeline.defects.pixels import EIGHT_NEIGHBOURS
from vaeline.defects.reference import HEAT_MAP
from vaeline.evaluation.group import Density
from vaeline.evaluation.inference import reconstruct
from vaeline.images.types import Images
from vaeline.models.generative import GenerativeModel


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
            part = images[rows]
            expected = reconstruct(self.model, part, self.seed)
            scores = scores_by_content(self.model, part, self.seed, self.densities)
            maps = None
            if self.statistics is not None:
                maps = self.statistics.heat_maps(part, expected)
                scores[HEAT_MAP] = image_scores(maps, top)
            for row in range(len(part)):
                found = {name: float(values[row]) for name, values in scores.items()}
                yield Examined(found, expected[row], None if maps is None else maps[row])


def find_regions(heat_map: Float32[np.ndarray, "height width"], threshold: float) -> list[Region]:
    """The regions above a threshold, the most surprising first. Pixels that touch, also by a corner, are one region."""
    numbers, count = label(heat_map > threshold, EIGHT_NEIGHBOURS)
    highest = maximum(heat_map, numbers, np.arange(1, count + 1))
    found = [
        Region(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start, float(value))
        for (rows, columns), value in zip(find_objects(numbers), highest, strict=True)
    ]
    return sorted(found, key=lambda region: -region.surprise)
