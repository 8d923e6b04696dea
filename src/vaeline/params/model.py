"""Section `model` of `params.yaml`: what the model is.

Here is what all kinds of model share. A kind adds its own sections and rules in `models/kinds/<kind>/params.py`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ModelWrapValidatorHandler, field_validator, model_validator
from pydantic_core import PydanticKnownError

from vaeline.errors import VaelineError
from vaeline.kinds import known_kinds, known_likelihoods, params_module
from vaeline.params.base import Section, check, keys_of, nearest


class PriorParams(Section):
    """What p(z) is; the other keys belong to some kinds only."""

    kind: Literal["normal", "label", "vamp", "flow", "mixture", "autoregressive"]
    components: int = Field(ge=1)
    layers: int = Field(ge=1)
    width: int = Field(ge=1)


def _only_a_section(value: object) -> object:
    """Refuse an unknown key, unless it is a section: that may belong to another kind."""
    if not isinstance(value, dict):
        raise PydanticKnownError("extra_forbidden")
    return value


OtherSection = Annotated[Any, BeforeValidator(_only_a_section)]


class ModelParams(Section):
    """The model: its kind, the network, the likelihood of a pixel, the prior and the terms of the loss.

    Values are read as the class of their kind. The sections of other kinds are kept as they are.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, OtherSection]  # ty: ignore[incompatible-mutable-override]

    kind: str
    architecture: Literal["conv", "mlp", "resconv", "resmlp"]
    latent_dim: int = Field(ge=1)
    width: int = Field(ge=1)
    depth: int = Field(ge=1)
    activation: Literal["relu", "leaky_relu", "silu"]
    normalization: Literal["none", "batch", "layer"]
    dropout: float = Field(ge=0, lt=1)
    likelihood: str
    sigma: float = Field(gt=0)
    binarize: bool
    beta: float = Field(ge=0)
    free_bits: float = Field(ge=0)
    capacity: float = Field(ge=0)
    prior: PriorParams

    @model_validator(mode="wrap")
    @classmethod
    def _as_its_kind(cls, values: Any, handler: ModelWrapValidatorHandler["ModelParams"]) -> "ModelParams":
        given = values.model_dump() if isinstance(values, ModelParams) else values
        own = params_of_kind(given.get("kind")) if isinstance(given, Mapping) else cls
        if cls is not ModelParams or own is ModelParams or isinstance(values, own):
            return handler(values)
        return own.model_validate(given)

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        if kind not in known_kinds():
            raise ValueError(f"no such model{nearest(kind, known_kinds())}")
        return kind

    @field_validator("likelihood")
    @classmethod
    def _known_likelihood(cls, likelihood: str) -> str:
        if likelihood not in known_likelihoods():
            raise ValueError(f"no such likelihood{nearest(likelihood, known_likelihoods())}")
        return likelihood

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


def params_of_kind(kind: object) -> type[ModelParams]:
    """The class of the parameters of a kind: PARAMS of its `params.py`, or what all kinds share."""
    module = params_module(str(kind)) if kind in known_kinds() else None
    return ModelParams if module is None else module.PARAMS


def check_sections(values: Mapping[str, Any], where: str) -> None:
    """Check the sections of all kinds in the section `model`, also those of kinds that are not chosen.

    Raises:
        VaelineError: no kind has such a section, or a key in it is unknown, missing or out of range.
    """
    shared = keys_of(ModelParams)
    known = {key: own for kind in known_kinds() for key, own in keys_of(params_of_kind(kind)).items()}
    for name, value in values.items():
        if name in known.keys() - shared.keys():
            check(known[name], value, where, ("model", name))
        elif name not in shared and isinstance(value, dict):
            raise VaelineError(f"{where}: unknown key 'model.{name}'{nearest(name, known)}")
