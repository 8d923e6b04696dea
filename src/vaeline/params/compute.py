"""Section `compute` of `params.yaml`: the number of threads."""

from pydantic import Field

from vaeline.params.base import Section


class ComputeParams(Section):
    """The number of threads for TensorFlow; another number gives other bits."""

    threads: int = Field(ge=1)
