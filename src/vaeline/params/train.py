"""Section `train` of `params.yaml`: how the model is trained."""

from typing import Literal

from pydantic import Field

from vaeline.params.base import Section, Seed


class CorruptionParams(Section):
    """Damage to training images that the model must undo."""

    most: int = Field(ge=0)
    size: float = Field(gt=0.02, le=1)
    contrast: float = Field(gt=0, le=1)
    noise: float = Field(ge=0, le=1)


class TrainParams(Section):
    """Optimizer, schedules and stopping."""

    seed: Seed
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    optimizer: Literal["adam", "adamw"]
    learning_rate: float = Field(gt=0)
    learning_rate_warmup: float = Field(ge=0)
    weight_decay: float = Field(ge=0)
    kl_warmup: int = Field(ge=0)
    patience: int = Field(ge=1)
    jit_compile: bool
    min_kl: float = Field(ge=0)
    mirror: bool
    shift: int = Field(ge=0)
    corruption: CorruptionParams
