"""Examined pictures in the order of a score, the most unusual first, with verdicts and regions."""

import heapq
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from vaeline.defects.examine import Examined, find_regions
from vaeline.defects.figure import Inspected, shrunk

MOST_REGIONS = 20


@dataclass(frozen=True)
class Picture:
    """A picture (height, width, channels), floats in [0, 1] or bytes, its name, and what was found in it."""

    name: str
    pixels: Shaped[np.ndarray, "height width channels"]
    found: Examined


@dataclass(frozen=True)
class Judge:
    """The score that decides, and its threshold: a picture above it is anomalous. None if there is no threshold.

    region_threshold: the value of heat maps above which a pixel belongs to a region; None if there are no heat maps.
    """

    score: str
    threshold: float | None
    region_threshold: float | None

    def is_anomalous(self, found: Examined) -> bool | None:
        """The verdict on a picture; None without a threshold."""
        return None if self.threshold is None else found.scores[self.score] > self.threshold


@dataclass(frozen=True)
class Ranking:
    """What a report says of each picture, the highest score first, and the first of them for a sheet."""

    pictures: list[dict[str, Any]]
    shown: list[Inspected]

    @property
    def anomalous(self) -> int:
        """How many pictures are anomalous."""
        return sum(bool(picture.get("anomalous")) for picture in self.pictures)


def rank(pictures: Iterable[Picture], judge: Judge, worst: int) -> Ranking:
    """The ranking of pictures, with the `worst` of them for the sheet.

    The pixels of others are not kept. Pictures of equal scores stay in the order in which they came.
    """
    told: list[tuple[float, int, dict[str, Any]]] = []
    kept: list[tuple[float, int, Inspected]] = []
    for number, picture in enumerate(pictures):
        key = (picture.found.scores[judge.score], -number)
        told.append((*key, _tell(picture, judge)))
        if len(kept) < worst:
            heapq.heappush(kept, (*key, _inspect(picture, judge)))
        elif key > kept[0][:2]:
            heapq.heapreplace(kept, (*key, _inspect(picture, judge)))
    told.sort(key=lambda entry: entry[:2], reverse=True)
    kept.sort(key=lambda entry: entry[:2], reverse=True)
    return Ranking([entry[2] for entry in told], [entry[2] for entry in kept])


def _tell(picture: Picture, judge: Judge) -> dict[str, Any]:
    told: dict[str, Any] = {"image": picture.name, "scores": picture.found.scores}
    if judge.threshold is not None:
        told["anomalous"] = judge.is_anomalous(picture.found)
    if picture.found.heat_map is not None and judge.region_threshold is not None:
        height, width = picture.found.heat_map.shape
        regions = find_regions(picture.found.heat_map, judge.region_threshold)
        told |= {"height": height, "width": width, "regions": [asdict(region) for region in regions[:MOST_REGIONS]]}
    return told


def _inspect(picture: Picture, judge: Judge) -> Inspected:
    found = picture.found
    score, verdict = found.scores[judge.score], judge.is_anomalous(found)
    item = shrunk(
        Inspected(Path(picture.name).name, picture.pixels, found.reconstruction, found.heat_map, score, verdict)
    )
    is_bytes = picture.pixels.dtype == np.uint8
    return replace(item, picture=item.picture / 255) if is_bytes else item
