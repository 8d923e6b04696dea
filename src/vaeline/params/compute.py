"""Section `compute` of `params.yaml`: what the arithmetic runs on."""

from pydantic import Field

from vaeline.params.base import Section


class ComputeParams(Section):
    """What the arithmetic runs on: another number of threads gives other bits."""

    threads: int = Field(ge=1)
