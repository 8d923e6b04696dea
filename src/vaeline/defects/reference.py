"""The reference of a model's heat maps: their statistics, and the scores of good images, which give thresholds."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Integer

from vaeline.anomaly.one_class import scores_by_content
from vaeline.artifacts import write_json
from vaeline.defects.heat_map import MapStatistics, image_scores, scales_of, top_pixels
from vaeline.defects.moments import cross_fitted_maps, fit_moments
from vaeline.defects.pictures import PictureSet
from vaeline.errors import VaelineError
from vaeline.evaluation.group import Density
from vaeline.evaluation.inference import reconstruct
from vaeline.evaluation.subject import Subject
from vaeline.images.types import HeatMaps, Images
from vaeline.models.generative import GenerativeModel
from vaeline.params.evaluate import EvaluateParams
from vaeline.scores import HEAT_MAP

DECIMALS = 9
Scores: TypeAlias = dict[str, Float[np.ndarray, " rows"]]


@dataclass(frozen=True)
class HeatMapReference:
    """The statistics of a model's heat maps, and the scores (images,) of good validation images by name.

    false_alarms: the share of good images that `evaluate` lets a verdict call anomalous.
    """

    model_sha256: str
    false_alarms: float
    statistics: MapStatistics
    scores: dict[str, Float[np.ndarray, " images"]]

    def threshold(self, score: str, false_alarms: float) -> float:
        """The `upper_bound` of a score."""
        return upper_bound(self.scores[score], false_alarms)


def fit_heat_map_reference(
    model: GenerativeModel,
    model_sha256: str,
    pictures: PictureSet,
    densities: Mapping[str, Density],
    settings: EvaluateParams,
) -> HeatMapReference:
    """The reference of `model` over good validation pictures."""
    top, folds = top_pixels(*pictures.images.shape[1:3]), pictures.folds()
    moments = fit_moments(
        partial(reconstruct, model, seed=settings.seed), pictures.images, folds, scales_of(model.image)
    )

    def look(images: Images, rows: Integer[np.ndarray, " rows"]) -> tuple[HeatMaps, Scores]:
        maps = cross_fitted_maps(moments, images, reconstruct(model, images, settings.seed), folds[rows])
        return maps, scores_by_content(model, images, settings.seed, densities)

    scores: dict[str, list[Float[np.ndarray, " part"]]] = {}
    for seen in pictures.look(pictures.rows, look):
        for name, values in {HEAT_MAP: image_scores(seen.maps, top), **seen.scores}.items():
            scores.setdefault(name, []).append(values.astype("float64"))
    sorted_scores = {name: np.sort(np.concatenate(parts)) for name, parts in scores.items()}
    return HeatMapReference(model_sha256, settings.false_alarms, moments.statistics(), sorted_scores)


def write_heat_map_reference_of(
    subject: Subject, densities: Mapping[str, Density], model_sha256: str, settings: EvaluateParams, path: Path
) -> None:
    """Fit the reference over up to `reference_images` validation images, drawn by the seed, and write it."""
    validation = PictureSet.of_split(subject.prepared.splits["validation"])
    some = validation.first(settings.reference_images, settings.seed)
    write_heat_map_reference(fit_heat_map_reference(subject.model, model_sha256, some, densities, settings), path)


def upper_bound(values: Float[np.ndarray, " images"], false_alarms: float) -> float:
    """The value that a new good image exceeds with a probability of at most `false_alarms`, from those of n good ones.

    It is the k-th smallest value with k = ⌈(n + 1)(1 − false_alarms)⌉ (conformal prediction, Vovk et al. 2005). If
    there are too few images for so small a probability, it is their highest value, with the probability 1 / (n + 1).
    """
    place = min(math.ceil((len(values) + 1) * (1 - false_alarms)), len(values))
    return float(np.partition(values, place - 1)[place - 1])


def write_heat_map_reference(reference: HeatMapReference, path: Path) -> None:
    """Write the reference as JSON, atomically."""
    write_json(path, {**vars(reference), "statistics": vars(reference.statistics)}, DECIMALS)


def find_heat_map_reference(path: Path) -> HeatMapReference | None:
    """The reference at `path`, or None if there is no such file. Raises VaelineError as `read_heat_map_reference`."""
    return read_heat_map_reference(path) if path.is_file() else None


def read_heat_map_reference(path: Path) -> HeatMapReference:
    """Read what `write_heat_map_reference` wrote.

    Raises:
        VaelineError: the file is missing or holds something else.
    """
    again = "`dvc repro evaluate` makes one"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        statistics = content["statistics"]
        arrays = {name: np.array(statistics[name], "float64") for name in ("mean", "deviation")}
        return HeatMapReference(
            content["model_sha256"],
            float(content["false_alarms"]),
            MapStatistics(tuple(statistics["scales"]), statistics["height"], statistics["width"], **arrays),
            {name: np.array(values, "float64") for name, values in content["scores"].items()},
        )
    except FileNotFoundError:
        raise VaelineError(f"{path}: no reference of heat maps; {again}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VaelineError(f"{path}: not a reference of heat maps ({error}); {again}") from None
