"""A model that has passed its checks and may answer."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from vaeline.errors import VaelineError
from vaeline.models.generative import GenerativeModel
from vaeline.pyfunc.answers import Ask, UnanswerableError, answer
from vaeline.pyfunc.golden import golden_differences
from vaeline.serving.resolved import Identity, ResolvedModel
from vaeline.serving.survey import Axis, survey_latents

FIGURE_TAGS = "test."


@dataclass(frozen=True)
class Served:
    """A loaded model, what it is called, what was checked of it, and what is known of it.

    figures: what its registered version says of the test set, nats per image. axes: what its latents do, the busiest
    first.
    """

    identity: Identity
    model: GenerativeModel
    checks: tuple[str, ...]
    since: datetime
    figures: dict[str, float]
    axes: tuple[Axis, ...]


def admit(resolved: ResolvedModel) -> Served:
    """Load the model and check it: its digest, its golden outputs if it has any, and an answer in every mode.

    Raises:
        VaelineError: one of these fails.
    """
    model = resolved.load()
    checks = ["digest"]
    if (golden := resolved.read_golden()) is not None:
        if differences := golden_differences(model, golden):
            raise VaelineError(f"does not reproduce its golden outputs: {'; '.join(differences[:3])}")
        checks.append("golden outputs")
    warm_up(model)
    checks.append("every mode answers")
    figures = read_figures(resolved.tags)
    return Served(resolved.identity, model, tuple(checks), datetime.now(UTC), figures, survey_latents(model))


def read_figures(tags: Mapping[str, str]) -> dict[str, float]:
    """The figures of the test set that a version is tagged with; a tag that is no number is left out."""
    found = {}
    for name, text in tags.items():
        if name.startswith(FIGURE_TAGS):
            with suppress(ValueError):
                found[name.removeprefix(FIGURE_TAGS)] = float(text)
    return found


def warm_up(model: GenerativeModel) -> None:
    """One answer in every mode. Raises VaelineError where there is none."""
    images = np.zeros((1, *model.image.shape), "float32")
    latents = np.zeros((1, model.latent_dim), "float32")
    for ask in (
        Ask("reconstruct", images),
        Ask("encode", images),
        Ask("score", images),
        Ask("decode", latents),
        Ask("sample"),
    ):
        try:
            answer(model, ask)
        except UnanswerableError as error:
            raise VaelineError(f"does not answer {ask.mode}: {error}") from None
