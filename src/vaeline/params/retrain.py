"""Section `retrain` of `params.yaml`: when to train again."""

from pydantic import Field, ValidationInfo, field_validator

from vaeline.params.base import Section


class RetrainParams(Section):
    """When a retraining is due, and what it may do."""

    max_age_days: float = Field(gt=0)
    quiet_days: float = Field(gt=0)
    promote: bool

    @field_validator("quiet_days")
    @classmethod
    def _above_the_age(cls, quiet_days: float, info: ValidationInfo) -> float:
        if quiet_days <= info.data.get("max_age_days", 0):
            raise ValueError("the alarm must wait for longer than retrain.max_age_days, or it sounds without need")
        return quiet_days
