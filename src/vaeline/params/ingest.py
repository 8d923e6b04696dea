"""Section `ingest` of `params.yaml`: where batches of new images arrive."""

from pydantic import Field

from vaeline.params.base import Section


class IngestParams(Section):
    """Where batches of new images arrive, and how often a clean one may be refused."""

    source: str = Field(min_length=1)
    false_alarms: float = Field(gt=0, lt=1)
