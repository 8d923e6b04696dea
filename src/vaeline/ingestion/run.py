"""The rules that an ingestion starts with, and its report for programs: `reports/ingest.json`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vaeline.data.accepted import read_records
from vaeline.data.groups import search_distance
from vaeline.data.prepared import read_prepared
from vaeline.errors import VaelineError
from vaeline.ingestion.ingest import ACCEPTED, QUARANTINED, UNCHANGED, Outcome, Rules
from vaeline.outputs import PREPARED
from vaeline.params.whole import Params
from vaeline.redaction import public_uri
from vaeline.tracking.origin import who
from vaeline.validation.profile import profile_path, read_profile


def open_rules(params: Params) -> Rules:
    """The present data and thresholds, which decide about batches.

    Raises:
        VaelineError: prepared data is missing, is of another data set, or holds a batch that is no longer accepted.
    """
    prepared = read_prepared(Path(PREPARED))
    if prepared.manifest["dataset"] != params.data.dataset:
        raise VaelineError(
            f"{PREPARED} holds {prepared.manifest['dataset']}, but params.yaml names {params.data.dataset}; "
            "run `dvc repro prepare`"
        )
    accepted = {record["id"] for record in read_records(params.data.dataset)}
    if gone := {batch["id"] for batch in prepared.manifest.get("batches", [])} - accepted:
        raise VaelineError(f"{PREPARED} holds {min(gone)}, which is no longer accepted; run `dvc repro prepare`")
    profile = read_profile(profile_path(params.validate_.profile, params.data.name))
    distance = search_distance(params.data.near_duplicates, is_own="duplicates" in prepared.manifest)
    limits = params.ingest.limits.named("ingest.limits")
    return Rules(prepared, profile, params.ingest.false_alarms, who(), distance, limits)


def as_report(source: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The outcomes by status, each with the batch's name, the reason and the facts."""
    return {"source": public_uri(source)} | {
        status: [{**item.facts, "name": item.name, "why": item.why} for item in outcomes if item.status == status]
        for status in (ACCEPTED, QUARANTINED, UNCHANGED)
    }
