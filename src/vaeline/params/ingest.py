"""Section `ingest` of `params.yaml`: where batches of new images arrive."""

from pydantic import Field, field_validator

from vaeline.images.limits import FOREIGN
from vaeline.params.base import Section
from vaeline.params.limits import LimitsParams
from vaeline.redaction import public_uri


class IngestLimits(LimitsParams):
    """The limits of a batch; `fetched`: bytes of one that is copied from a URI."""

    fetched: int = Field(2**32, ge=1)


class IngestParams(Section):
    """Where batches of new images arrive, and how often a clean one may be refused."""

    source: str = Field(min_length=1)
    false_alarms: float = Field(gt=0, lt=1)
    limits: IngestLimits = IngestLimits.of(FOREIGN)

    @field_validator("source")
    @classmethod
    def _is_public(cls, source: str) -> str:
        if public_uri(source) != source:
            raise ValueError("has a user, a password or a query, but git keeps this file; use remote://NAME/PATH")
        return source
