"""Who is compared at the gate: a candidate or several seeds of its configuration, and the champion."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vaeline.errors import VaelineError
from vaeline.gate.policy import require_thresholds
from vaeline.params.gate import SetGateParams
from vaeline.params.whole import Params
from vaeline.registry.lookup import RegisteredVersion

FEWEST_SEEDS = 3


@dataclass(frozen=True)
class Contest:
    """Who is compared, on the prepared data in `directory`, by which thresholds.

    candidates: one model, or several seeds of its configuration; the first is the version that would be promoted.
    """

    params: Params
    directory: Path
    candidates: Sequence[RegisteredVersion]
    champion: RegisteredVersion | None

    @property
    def gate(self) -> SetGateParams:
        """The thresholds. Raises VaelineError where one is not set."""
        return require_thresholds(self.params.gate)


def require_contest(candidates: Sequence[RegisteredVersion], champion: RegisteredVersion | None) -> None:
    """Raise VaelineError unless these are one candidate, or several seeds of one, and none is the champion itself."""
    first, *others = candidates
    digests = {version.stored.model_sha256 for version in candidates}
    if champion and champion.stored.model_sha256 in digests:
        raise VaelineError(f"{champion.title} is the champion already, and one of the models that are to be compared")
    if len(digests) < len(candidates):
        raise VaelineError("one model is named twice; several seeds are different models")
    if 1 < len(candidates) < FEWEST_SEEDS:
        raise VaelineError(f"two seeds do not show how far seeds scatter; name one model, or {FEWEST_SEEDS} or more")
    for other in others:
        ours, theirs = first.configuration, other.configuration
        if changed := [key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key)]:
            key = changed[0]
            raise VaelineError(
                f"{other.title} is no other seed of {first.title}: {key} is {theirs.get(key)}, not {ours.get(key)}"
            )
