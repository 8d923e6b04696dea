"""What an ingestion begins with, and what it leaves for machines to read: `reports/ingest.json`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vaeline.data.accepted import read_records
from vaeline.data.prepared import read_prepared
from vaeline.errors import VaelineError
from vaeline.ingestion.ingest import ACCEPTED, QUARANTINED, UNCHANGED, Outcome, Rules
from vaeline.outputs import PREPARED
from vaeline.params.whole import Params
from vaeline.tracking.origin import who
from vaeline.validation.profile import profile_path, read_profile

REPORT = Path("reports/ingest.json")


def open_rules(params: Params) -> Rules:
    """The data and thresholds that batches are held against now.

    Raises:
        VaelineError: prepared data is missing, of another data set, or has a batch that is accepted no more.
    """
    prepared = read_prepared(Path(PREPARED))
    if prepared.manifest["dataset"] != params.data.dataset:
        raise VaelineError(
            f"{PREPARED} is {prepared.manifest['dataset']}, params.yaml says {params.data.dataset}; `dvc repro prepare`"
        )
    accepted = {record["id"] for record in read_records(params.data.dataset)}
    if gone := {batch["id"] for batch in prepared.manifest.get("batches", [])} - accepted:
        raise VaelineError(f"{PREPARED} has {min(gone)}, which is accepted no more; `dvc repro prepare`")
    profile = read_profile(profile_path(params.validate_.profile, params.data.name))
    return Rules(prepared, profile, params.ingest.false_alarms, who())


def as_report(source: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The outcomes by what became of them; each with the batch's name, the reason and the facts."""
    return {"source": source} | {
        status: [{**item.facts, "name": item.name, "why": item.why} for item in outcomes if item.status == status]
        for status in (ACCEPTED, QUARANTINED, UNCHANGED)
    }
