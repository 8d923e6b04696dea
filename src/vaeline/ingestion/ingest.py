"""Ingest a batch: read it, drop known images, validate the rest, then accept the batch or put it into quarantine."""

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from vaeline.artifacts import digest
from vaeline.data.accepted import BATCHES, Rows, fetch_rows, read_records, read_rows, rows_digest
from vaeline.data.prepared import Prepared, Split
from vaeline.data.statistics import image_statistics
from vaeline.dvc_files import mend_dvc_files
from vaeline.errors import VaelineError
from vaeline.images.limits import FOREIGN, Limits
from vaeline.images.types import AnyImages
from vaeline.ingestion.accept import accept, batch_id
from vaeline.ingestion.arrivals import Arrival, at_hand
from vaeline.ingestion.batches import Batch, UnreadableBatchError, read_batch
from vaeline.ingestion.duplicates import known_images, looks_like_test, new_rows
from vaeline.ingestion.quarantine import DOCS, QUARANTINE, folder_for, put, refused, remove
from vaeline.validation.batch import BATCH, batch_expectations
from vaeline.validation.checkpoint import Verdict, validate
from vaeline.validation.profile import Profile

LIKE_TEST = "test, which they look like"
ACCEPTED, QUARANTINED, UNCHANGED = "accepted", "quarantined", "unchanged"
SCRATCH = Path(".vaeline/arrivals")
CHECKED = Path(".vaeline/ingest-docs")
LOCK = Path(".vaeline/ingest.lock")


@dataclass(frozen=True)
class Rules:
    """What decides about batches: the known data and the thresholds.

    false_alarms: the highest probability that a clean batch fails. who: the person who ingests, for the record.
    distance: that of images that look alike (`find_duplicates`); None if the data set does not ask for them.
    limits: those of a batch.
    """

    prepared: Prepared
    profile: Profile
    false_alarms: float
    who: str
    distance: int | None = None
    limits: Limits = FOREIGN

    @property
    def dataset(self) -> str:
        """The data set that accepted batches belong to."""
        return self.prepared.manifest["dataset"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a batch: accepted, quarantined or unchanged, the reason, and the facts of its record or report."""

    name: str
    status: str
    why: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def alone() -> Generator[None]:
    """Hold the lock of ingestion, and remove or mend half-written files of an ingestion that was killed.

    Raises:
        VaelineError: another ingestion is running.
    """
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(LOCK, timeout=0):
            shutil.rmtree(SCRATCH, ignore_errors=True)
            for left in (*BATCHES.glob(".*-*"), *QUARANTINE.glob("*/.*-*"), *QUARANTINE.glob("*/*/.*.partial")):
                remove(left)
            mend_dvc_files()
            yield
    except Timeout:
        raise VaelineError("another `vaeline ingest` is running here; wait until it ends") from None


def ingest(arrival: Arrival, rules: Rules) -> Outcome:
    """Accept one batch or refuse it. A batch that was ingested before, or that has no new image, changes nothing.

    Raises:
        VaelineError: the batch cannot be fetched, or DVC fails. Nothing has changed, and the same call can be repeated.
    """
    with at_hand(arrival, SCRATCH) as path:
        source_sha256 = _source_digest(path)
        records = read_records(rules.dataset)
        if known := next((record for record in records if record["source_sha256"] == source_sha256), None):
            return Outcome(arrival.name, UNCHANGED, f"is already accepted as {known['id']}")
        if folder := refused(source_sha256):
            return Outcome(arrival.name, UNCHANGED, f"is already in quarantine: {folder}")
        about = {
            "dataset": rules.dataset,
            "source": arrival.origin,
            "source_sha256": source_sha256,
            "who": rules.who,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            batch = read_batch(path, rules.prepared.classes, rules.prepared.image, rules.limits)
        except UnreadableBatchError as error:
            return _refuse(arrival, path, about, [str(error)])
        return _judge(arrival, path, batch, records, about, rules)


def _judge(
    arrival: Arrival, path: Path, batch: Batch, records: list[dict[str, Any]], about: dict[str, Any], rules: Rules
) -> Outcome:
    sha256 = rows_digest(batch.images, batch.labels)
    if known := next((record for record in records if record["rows_sha256"] == sha256), None):
        return Outcome(arrival.name, UNCHANGED, f"has the same rows as {known['id']}")
    labelled = batch.labels is not None
    rivals = [record for record in records if record["labelled"] or not labelled]
    fetch_rows(rivals)
    known = known_images(rules.prepared, ((record["id"], read_rows(record)) for record in rivals))
    numbers, dropped = new_rows(batch.images, known)
    if rules.distance is not None and len(numbers):
        alike = looks_like_test(batch.images[numbers], rules.prepared, rules.distance)
        numbers, dropped = numbers[~alike], dropped | ({LIKE_TEST: int(alike.sum())} if alike.any() else {})
    about |= {"rows": len(batch.images), "kept": len(numbers), "dropped": dropped, "labelled": labelled}
    if not len(numbers):
        return Outcome(arrival.name, UNCHANGED, f"has no new image ({_counted(dropped)})", about)
    images, labels = batch.images[numbers], None if batch.labels is None else batch.labels[numbers]
    folder = folder_for(arrival.name, about["source_sha256"])
    verdict = check(Rows(images, labels, numbers), rules, CHECKED)
    if not verdict.passed:
        reasons = [failure.line() for failure in verdict.failures]
        _keep_docs(folder)
        return _refuse(arrival, path, about, reasons, verdict, images)
    batch_name = batch_id(sha256, about["when"][:10].replace("-", ""))
    about |= {
        "rows_sha256": sha256,
        "validation": {
            "status": "passed",
            "profile": verdict.profile,
            "expectations": verdict.expectations,
            "false_alarms": rules.false_alarms,
        },
    }
    if labels is not None:
        about["rows_per_class"] = np.bincount(labels, minlength=len(rules.prepared.classes)).tolist()
    accept(batch_name, Rows(images, labels, numbers), about)
    use = "joins train and validation" if labelled else "has no labels, so it is used for monitoring only"
    why = f"{len(numbers):,} of {len(batch.images):,} rows{_but(dropped)}; {use}"
    return Outcome(arrival.name, ACCEPTED, f"as {batch_name}: {why}", {"id": batch_name, **about})


def check(rows: Rows, rules: Rules, docs: Path) -> Verdict:
    """The verdict on rows by the profile's expectations for a batch; Data Docs go to `docs`."""
    labels = np.zeros(len(rows.images), "uint8") if rows.labels is None else rows.labels
    of_class = None if rows.labels is None else Counter(labels.tolist())
    expected = batch_expectations(rules.profile, len(labels), of_class, rules.false_alarms)
    table = image_statistics({BATCH: Split(rows.images, labels, rows.numbers)}, rules.profile.family)
    return validate(table, rules.profile, docs, expected)


def _refuse(
    arrival: Arrival,
    path: Path,
    about: dict[str, Any],
    reasons: list[str],
    verdict: Verdict | None = None,
    images: AnyImages | None = None,
) -> Outcome:
    folder = folder_for(arrival.name, about["source_sha256"])
    put(path, folder, about, reasons, verdict, images)
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return Outcome(arrival.name, QUARANTINED, f"{reasons[0]}{more}; see {folder}", {"folder": str(folder), **about})


def _keep_docs(folder: Path) -> None:
    shutil.rmtree(folder / DOCS, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.move(CHECKED, folder / DOCS)


def _source_digest(path: Path) -> str:
    """SHA-256 of the batch as it arrived; of the path that it points to, for a link."""
    return hashlib.sha256(os.readlink(path).encode()).hexdigest() if path.is_symlink() else digest(path)


def _counted(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} known from {where}" for where, count in dropped.items())


def _but(dropped: Mapping[str, int]) -> str:
    return f" ({_counted(dropped)})" if dropped else ""
