"""Section `validate` of `params.yaml`: which thresholds the data must meet."""

from pydantic import Field

from vaeline.params.base import Section


class ValidateParams(Section):
    """Which thresholds the data must meet."""

    profile: str = Field(min_length=1)
