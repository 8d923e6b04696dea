"""Section `gate` of `params.yaml`: when a candidate may become champion."""

from typing import Literal

from pydantic import Field

from vaeline.params.base import Section, flatten


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


class GateParams(Section):
    """When a candidate may take the champion's place; a threshold that is null is one that nobody has set."""

    metric: Literal[
        "neg_elbo",
        "reconstruction",
        "nll",
        "nll_bound",
        "nll_neg_elbo",
        "mse",
        "knn_accuracy",
        "probe_accuracy",
        "bayes_accuracy",
        "guess_accuracy",
    ]
    mode: Literal["superior", "non_inferior"]
    nll_images: int = Field(ge=2)
    nll_samples: int = Field(ge=1)
    confidence: float = Field(gt=0.5, lt=1)
    resamples: int = Field(ge=100)
    seed: int = Field(ge=0)
    min_gain: float | None = Field(ge=0)
    margin: float | None = Field(ge=0)
    slice_margin: float | None = Field(ge=0)
    worst: float | None
    ood_kind: str
    ood_score: Literal["neg_elbo", "reconstruction", "kl", "one_class", "one_class_latent"]
    floors: GateFloors
    budget: GateBudget

    @property
    def unset(self) -> list[str]:
        """The dotted keys of the thresholds that are null."""
        return [f"gate.{key}" for key, value in flatten(self.model_dump()).items() if value is None]
