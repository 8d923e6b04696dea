"""Section `plot` of `params.yaml`: how the figures are drawn."""

from pydantic import Field

from vaeline.params.base import Section


class PlotParams(Section):
    """How the figures are drawn."""

    seed: int = Field(ge=0)
    manifold_size: int = Field(ge=2)
    columns: int = Field(ge=1)
    steps: int = Field(ge=2)
