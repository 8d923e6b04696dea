"""Section `gate` of `params.yaml`: when a candidate may become champion."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from vaeline.params.base import Section, Seed, flatten, nearest
from vaeline.scores import DEFECTS, HEAT_MAP, JUDGED, OOD_SCORES


def _one_of(names: Sequence[str]) -> Callable[[str], str]:
    """A check that a value is one of `names`; the error names the nearest."""

    def check(value: str) -> str:
        if value not in names:
            raise ValueError(f"this is not one of the scores that can be chosen here{nearest(value, names)}")
        return value

    return check


class GateFloors(Section):
    """What a candidate must reach, whatever the champion is."""

    kl: float | None = Field(ge=0)
    active_units: int | None = Field(ge=0)
    precision: float | None = Field(ge=0, le=1)
    recall: float | None = Field(ge=0, le=1)
    auroc: float | None = Field(ge=0, le=1)


class GateBudget(Section):
    """What serving a candidate may cost."""

    mebibytes: float | None = Field(gt=0)
    milliseconds: float | None = Field(gt=0)


class SetGateFloors(GateFloors):
    """Floors that are all set."""

    kl: float
    active_units: int
    precision: float
    recall: float
    auroc: float


class SetGateBudget(GateBudget):
    """A budget with both limits set."""

    mebibytes: float
    milliseconds: float


class GateParams(Section):
    """When a candidate may replace the champion; a threshold that is null has not been set yet.

    measured_on: the short name of the data set that the thresholds are for; other data sets have a file of their own.
    """

    measured_on: str
    metric: Annotated[str, AfterValidator(_one_of(JUDGED))]
    mode: Literal["superior", "non_inferior"]
    nll_images: int = Field(ge=2)
    nll_samples: int = Field(ge=1)
    confidence: float = Field(gt=0.5, lt=1)
    resamples: int = Field(ge=100)
    seed: Seed
    min_gain: float | None = Field(ge=0)
    margin: float | None = Field(ge=0)
    slice_margin: float | None = Field(ge=0)
    worst: float | None
    ood_kind: str
    ood_score: Annotated[str, AfterValidator(_one_of((*OOD_SCORES, HEAT_MAP)))]
    floors: GateFloors
    budget: GateBudget

    @model_validator(mode="after")
    def _heat_maps_show_defects(self) -> Self:
        if (self.ood_kind == DEFECTS) != (self.ood_score == HEAT_MAP):
            raise ValueError(f"ood_kind: {DEFECTS} and ood_score: {HEAT_MAP} need each other")
        return self

    @property
    def unset(self) -> list[str]:
        """The dotted keys of the thresholds that are null."""
        return [f"gate.{key}" for key, value in flatten(self.model_dump()).items() if value is None]


class SetGateParams(GateParams):
    """The section with every threshold set, as the gate needs it."""

    min_gain: float
    margin: float
    slice_margin: float
    worst: float
    floors: SetGateFloors
    budget: SetGateBudget
