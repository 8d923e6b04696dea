"""Section `model` of `params.yaml`: what the model is."""

from typing import Any, Literal

from pydantic import Field, field_validator

from vaeline.kinds import check_kind, known_kinds
from vaeline.params.base import Section, nearest


class PriorParams(Section):
    """What p(z) is; the other keys belong to some kinds only."""

    kind: Literal["normal", "label", "vamp", "flow", "mixture", "autoregressive"]
    components: int = Field(ge=1)
    layers: int = Field(ge=1)
    width: int = Field(ge=1)


class IwaeParams(Section):
    """The bound of `kind: iwae`."""

    samples: int = Field(ge=1)
    estimator: Literal["dreg", "plain"]


class CodebookParams(Section):
    """The codes of a VQ-VAE; model.latent_dim is the length of one."""

    codes: int = Field(ge=2)
    decay: float = Field(ge=0, lt=1)
    commitment: float = Field(ge=0)
    restart_below: float = Field(ge=0, lt=1)


class ModelParams(Section):
    """The model: its kind, the network, the likelihood of a pixel, the prior and the terms of the loss."""

    kind: str
    architecture: Literal["conv", "mlp", "resconv", "resmlp"]
    latent_dim: int = Field(ge=1)
    width: int = Field(ge=1)
    depth: int = Field(ge=1)
    activation: Literal["relu", "leaky_relu", "silu"]
    normalization: Literal["none", "batch", "layer"]
    dropout: float = Field(ge=0, lt=1)
    likelihood: Literal["bernoulli", "continuous_bernoulli", "gaussian", "calibrated_gaussian", "mse"]
    sigma: float = Field(gt=0)
    binarize: bool
    beta: float = Field(ge=0)
    free_bits: float = Field(ge=0)
    capacity: float = Field(ge=0)
    prior: PriorParams
    iwae: IwaeParams
    codebook: CodebookParams

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        if kind not in known_kinds():
            raise ValueError(f"no such model{nearest(kind, known_kinds())}")
        return kind

    def model_post_init(self, context: Any) -> None:
        if self.binarize and self.likelihood != "bernoulli":
            raise ValueError("binarize: true needs likelihood: bernoulli")
        if self.free_bits and self.capacity:
            raise ValueError("free_bits and capacity both limit the KL; set only one of them, and leave the other at 0")
        if self.prior.kind == "flow" and self.latent_dim < 2:
            raise ValueError("prior.kind: flow needs a latent_dim of 2 or more")
        if self.free_bits and self.prior.kind not in ("normal", "mixture"):
            raise ValueError("free_bits needs the KL of each latent, which only prior.kind: normal has while training")
        if self.prior.kind == "label" and self.kind != "cvae":
            raise ValueError("prior.kind: label needs kind: cvae, the only model that gets labels")
        if self.prior.kind == "autoregressive" and self.kind != "vqvae":
            raise ValueError("prior.kind: autoregressive, the prior over codes, needs kind: vqvae")
        check_kind(self)
