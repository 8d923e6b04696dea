"""Section `evaluate` of `params.yaml`: how the test images are scored."""

from typing import Annotated

from pydantic import Field

from vaeline.params.base import Section, Seed


class EvaluateParams(Section):
    """How the test images are scored."""

    seed: Seed
    nll_images: int = Field(ge=2)
    nll_samples: int = Field(ge=1)
    grid_points: int = Field(ge=16)
    samples: int = Field(ge=10)
    reference_images: int = Field(ge=100)
    restoration_images: int = Field(ge=2)
    noise_levels: list[Annotated[float, Field(ge=0)]] = Field(min_length=1)
    box: int = Field(ge=1, le=256)
    code_step: float = Field(gt=0)
    false_alarms: float = Field(gt=0, lt=1)
