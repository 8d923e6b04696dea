"""Load a model and check it before it may answer."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from vaeline.defects.reference import HeatMapReference
from vaeline.errors import VaelineError
from vaeline.models.generative import GenerativeModel
from vaeline.pyfunc.answers import ModelRequest, UnanswerableError, answer
from vaeline.pyfunc.golden import golden_differences
from vaeline.serving.resolved import Identity, ResolvedModel
from vaeline.serving.survey import Axis, survey_latents

FIGURE_TAGS = "test."


@dataclass(frozen=True)
class Served:
    """A loaded model with its identity.

    checks: the checks that it passed.
    since: the time from which it answers (UTC).
    figures: its test metrics from the tags of its version, in nats per image.
    axes: its latents, the one with the largest effect first.
    heat_maps: its reference of heat maps; None if it has none.
    """

    identity: Identity
    model: GenerativeModel
    checks: tuple[str, ...]
    since: datetime
    figures: dict[str, float]
    axes: tuple[Axis, ...]
    heat_maps: HeatMapReference | None = None


def admit(resolved: ResolvedModel) -> Served:
    """Load a model and check its digest, its golden outputs (if it has any) and an answer in every mode.

    Raises:
        VaelineError: a check fails.
    """
    model = resolved.load()
    checks = ["digest"]
    if (golden := resolved.read_golden()) is not None:
        if differences := golden_differences(model, golden):
            raise VaelineError(f"does not reproduce its golden outputs: {'; '.join(differences[:3])}")
        checks.append("golden outputs")
    warm_up(model)
    checks.append("every mode answers")
    heat_maps = resolved.read_heat_maps()
    if heat_maps is not None:
        checks.append("heat maps")
    since, figures, axes = datetime.now(UTC), read_figures(resolved.tags), survey_latents(model)
    return Served(resolved.identity, model, tuple(checks), since, figures, axes, heat_maps)


def read_figures(tags: Mapping[str, str]) -> dict[str, float]:
    """The test metrics in the tags of a version. A tag that is not a number is left out."""
    found = {}
    for name, text in tags.items():
        if name.startswith(FIGURE_TAGS):
            with suppress(ValueError):
                found[name.removeprefix(FIGURE_TAGS)] = float(text)
    return found


def warm_up(model: GenerativeModel) -> None:
    """Compute one answer in every mode. Raises VaelineError if the model cannot."""
    images = np.zeros((1, *model.image.shape), "float32")
    latents = np.zeros((1, model.latent_dim), "float32")
    for request in (
        ModelRequest("reconstruct", images),
        ModelRequest("encode", images),
        ModelRequest("score", images),
        ModelRequest("decode", latents),
        ModelRequest("sample"),
    ):
        try:
            answer(model, request)
        except UnanswerableError as error:
            raise VaelineError(f"does not answer {request.mode}: {error}") from None
