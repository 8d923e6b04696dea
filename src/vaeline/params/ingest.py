"""Section `ingest` of `params.yaml`: where batches of new images arrive."""

from pydantic import Field, field_validator

from vaeline.params.base import Section
from vaeline.redaction import public_uri


class IngestParams(Section):
    """Where batches of new images arrive, and how often a clean one may be refused."""

    source: str = Field(min_length=1)
    false_alarms: float = Field(gt=0, lt=1)

    @field_validator("source")
    @classmethod
    def _is_public(cls, source: str) -> str:
        if public_uri(source) != source:
            raise ValueError("has a user, a password or a query, but git keeps this file; use remote://NAME/PATH")
        return source
