"""Parameters of `kind: iwae`: its section `model.iwae`, and what it requires of the others."""

from typing import Any, Literal

from pydantic import Field

from vaeline.params.base import Section
from vaeline.params.model import ModelParams


class IwaeParams(Section):
    """The importance-weighted bound: draws of z for each image, and the estimator of its gradient."""

    samples: int = Field(ge=1)
    estimator: Literal["dreg", "plain"]


class IWAEModelParams(ModelParams):
    """The parameters of an IWAE."""

    iwae: IwaeParams

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        if self.free_bits or self.capacity:
            raise ValueError("free_bits and capacity must be 0, because the loss of kind: iwae has no KL term")


PARAMS = IWAEModelParams
