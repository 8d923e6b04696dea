"""The accepted set grows by a batch: its rows into DVC first, its record into git's tree last.

Each step can be repeated, and the batch is accepted when its record is there: a process that is killed between two
steps leaves what the next one goes on from.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from vaeline.artifacts import atomic_file, write_json
from vaeline.data.accepted import ACCEPTED, BATCHES, Rows, rows_digest, rows_file, write_rows
from vaeline.errors import VaelineError

DIGITS = 12


def batch_id(sha256: str, date: str) -> str:
    """`YYYYMMDD-<digits of the digest>`; that of an earlier day, where an ingestion of the same rows broke off."""
    begun = sorted(BATCHES.glob(f"*-{sha256[:DIGITS]}.npz"))
    return begun[0].stem if begun else f"{date}-{sha256[:DIGITS]}"


def accept(batch: str, rows: Rows, about: Mapping[str, Any]) -> None:
    """Write the rows, track them with DVC, and write the record: `about` the batch, and the digest of its rows.

    Raises:
        VaelineError: DVC could not take the rows; nothing is accepted then, and the same call goes on from there.
    """
    with atomic_file(rows_file(batch)) as temporary:
        write_rows(temporary, rows)
    track(batch)
    record = BATCHES / f"{batch}.json"  # beside the rows: what breaks off there is not seen by the stage prepare
    write_json(record, {"id": batch, **about, "kept_sha256": rows_digest(rows.images, rows.labels)})
    ACCEPTED.mkdir(parents=True, exist_ok=True)
    os.replace(record, ACCEPTED / record.name)


def track(batch: str) -> None:
    """`dvc add` the rows of a batch: into DVC's cache, with `<id>.npz.dvc` beside them for git."""
    command = [sys.executable, "-m", "dvc", "add", "--quiet", str(rows_file(batch))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise VaelineError(f"dvc add {rows_file(batch)}: {' '.join(done.stderr.split())[:300]}; then ingest again")
