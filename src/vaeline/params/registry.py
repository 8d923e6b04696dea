"""Section `registry` of `params.yaml`: how old things in the registry may be."""

from pydantic import Field

from vaeline.params.base import Section


class RegistryParams(Section):
    """How old things in the registry may be."""

    report_days: float = Field(gt=0)
    stale_days: float = Field(gt=0)
