"""Parameters of `kind: vqvae`: its section `model.codebook`, and what it requires of the others."""

from typing import Any

from pydantic import Field

from vaeline.params.base import Section
from vaeline.params.model import ModelParams


class CodebookParams(Section):
    """The codes; `model.latent_dim` is the length of one, and the grid of codes has at most `side` rows and columns."""

    codes: int = Field(ge=2)
    side: int = Field(8, ge=4, le=64)  # the default is that of models from before the parameter
    decay: float = Field(ge=0, lt=1)
    commitment: float = Field(ge=0)
    restart_below: float = Field(ge=0, lt=1)


class VQVAEModelParams(ModelParams):
    """The parameters of a VQ-VAE."""

    codebook: CodebookParams

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        if self.prior.kind != "autoregressive":
            raise ValueError("kind: vqvae needs prior.kind: autoregressive, the prior over codes")
        if self.architecture not in ("conv", "resconv"):
            raise ValueError("kind: vqvae needs a grid of features; set architecture: conv or resconv")


PARAMS = VQVAEModelParams
