"""The models that the gate compares: a candidate, or several seeds of its configuration, and the champion."""

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
    """The models that are compared, the prepared data in `directory`, and the thresholds.

    candidates: one model, or several seeds of its configuration; the first is the version that would be promoted.
    """

    params: Params
    directory: Path
    candidates: Sequence[RegisteredVersion]
    champion: RegisteredVersion | None

    @property
    def gate(self) -> SetGateParams:
        """The thresholds. Raises VaelineError if one is not set."""
        return require_thresholds(self.params.gate)


def require_contest(candidates: Sequence[RegisteredVersion], champion: RegisteredVersion | None) -> None:
    """Raise VaelineError unless these are one candidate or several seeds of one, and none of them is the champion."""
    first, *others = candidates
    digests = {version.stored.model_sha256 for version in candidates}
    if champion and champion.stored.model_sha256 in digests:
        raise VaelineError(f"{champion.title} is the champion; a model is not compared with itself")
    if len(digests) < len(candidates):
        raise VaelineError("one model is named twice; several seeds are different models")
    if 1 < len(candidates) < FEWEST_SEEDS:
        raise VaelineError(
            f"two seeds are too few to estimate the spread of seeds; name one model, or {FEWEST_SEEDS} or more"
        )
    for other in others:
        ours, theirs = first.configuration, other.configuration
        if changed := [key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key)]:
            key = changed[0]
            raise VaelineError(
                f"{other.title} is not another seed of {first.title}: {key} is {theirs.get(key)}, not {ours.get(key)}"
            )
