"""Heat maps beside the scores of images, for requests that ask for them."""

from collections.abc import Sequence

import numpy as np

from vaeline.defects.heat_map import image_scores, top_pixels
from vaeline.defects.reference import HeatMapReference
from vaeline.evaluation.inference import reconstruct
from vaeline.models.generative import GenerativeModel
from vaeline.pyfunc.answers import Answer, ModelRequest, UnanswerableError
from vaeline.scores import HEAT_MAP

MAPS, SCORE, THRESHOLD = "heat_map", "heat_map_score", "heat_map_threshold"
MISSING = "this model has no reference of heat maps; `dvc repro evaluate` makes one"


def add_heat_maps(
    model: GenerativeModel,
    reference: HeatMapReference | None,
    requests: Sequence[ModelRequest],
    answers: Sequence[Answer | UnanswerableError],
) -> list[Answer | UnanswerableError]:
    """The answers to requests for scores, with the maps (count, height, width), their scores and the threshold.

    A refusal stays one. Without a reference, all are refused.
    """
    if reference is None:
        return [UnanswerableError(MISSING) for _ in answers]
    return [
        found if isinstance(found, UnanswerableError) else found | _heat_maps(model, reference, request)
        for request, found in zip(requests, answers, strict=True)
    ]


def _heat_maps(model: GenerativeModel, reference: HeatMapReference, request: ModelRequest) -> Answer:
    images = request.values
    maps = reference.statistics.heat_maps(images, reconstruct(model, images, request.seed))
    threshold = reference.threshold(HEAT_MAP, reference.false_alarms)
    return {
        MAPS: maps,
        SCORE: image_scores(maps, top_pixels(*maps.shape[1:])),
        THRESHOLD: np.full(len(maps), threshold, "float32"),
    }
