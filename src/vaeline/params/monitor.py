"""Section `monitor` of `params.yaml`: when new images have drifted."""

from typing import Any

from pydantic import Field

from vaeline.params.base import Section, Seed


class LeastEffects(Section):
    """How far a window must be from the reference for it to matter, by test; between 0 and 1."""

    scores: float = Field(ge=0, le=1)
    unusual: float = Field(ge=0, le=1)
    latents: float = Field(ge=0, le=1)
    class_mix: float = Field(ge=0, le=1)
    labels: float = Field(ge=0, le=1)


class MonitorParams(Section):
    """When new images have drifted from those that the champion was made for.

    measured_on: the short name of the data set that `least_effects` is for; other data sets have a file of their own.
    """

    measured_on: str
    window_rows: int = Field(ge=50)
    least_rows: int = Field(ge=50)
    reference_rows: int = Field(ge=100)
    seed: Seed
    alpha: float = Field(gt=0, lt=1)
    permutations: int = Field(ge=99)
    neighbours: int = Field(ge=1, le=50)
    least_effects: LeastEffects
    k: int = Field(ge=1)
    n: int = Field(ge=1)

    def model_post_init(self, context: Any) -> None:
        if self.k > self.n:
            raise ValueError("k of n windows: k cannot be above n")
        if self.least_rows > self.window_rows:
            raise ValueError("least_rows cannot be above window_rows")
