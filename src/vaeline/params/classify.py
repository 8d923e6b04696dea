"""Section `classify` of `params.yaml`: how the classifier is trained."""

from pydantic import Field

from vaeline.params.base import Section, Seed


class ClassifyParams(Section):
    """How the classifier is trained whose features measure samples."""

    seed: Seed
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    width: int = Field(ge=1)
    min_accuracy: float = Field(ge=0, le=1)
