"""Section `plot` of `params.yaml`: how the figures are drawn."""

from pydantic import Field

from vaeline.params.base import Section, Seed


class PlotParams(Section):
    """How the figures are drawn."""

    seed: Seed
    manifold_size: int = Field(ge=2)
    columns: int = Field(ge=1)
    steps: int = Field(ge=2)
