"""Accept a batch: DVC gets its rows first, then its record goes to the files that git tracks.

Each step can be repeated. The batch is accepted once its record is in `data/accepted`. If the process is killed before
that, the next ingestion of the same rows continues.
"""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from vaeline.artifacts import atomic_file, write_json
from vaeline.data.accepted import ACCEPTED, BATCHES, Rows, rows_digest, rows_file, write_rows
from vaeline.errors import VaelineError
from vaeline.ingestion.quarantine import move
from vaeline.redaction import one_line

DIGITS = 12


def batch_id(sha256: str, date: str) -> str:
    """`YYYYMMDD-<digits of the digest>`, or the id from an earlier ingestion of the same rows that did not finish."""
    begun = sorted(BATCHES.glob(f"*-{sha256[:DIGITS]}.npz"))
    return begun[0].stem if begun else f"{date}-{sha256[:DIGITS]}"


def accept(batch: str, rows: Rows, about: Mapping[str, Any]) -> None:
    """Write the rows, track them with DVC, and write the record: `about` the batch, and the digest of its rows.

    Raises:
        VaelineError: DVC cannot track the rows. The batch is not accepted, and the same call can be repeated.
    """
    with atomic_file(rows_file(batch)) as temporary:
        write_rows(temporary, rows)
    track(batch)
    record = BATCHES / f"{batch}.json"  # not in data/accepted yet, so that prepare never sees half a record
    write_json(record, {"id": batch, **about, "kept_sha256": rows_digest(rows.images, rows.labels)})
    ACCEPTED.mkdir(parents=True, exist_ok=True)
    move(record, ACCEPTED / record.name)


def track(batch: str) -> None:
    """Add the rows of a batch to DVC's cache; DVC writes `<id>.npz.dvc` beside them for git."""
    command = [sys.executable, "-m", "dvc", "add", "--quiet", str(rows_file(batch))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = one_line(done.stderr, 300)
        raise VaelineError(f"`dvc add {rows_file(batch)}` failed ({reason}); correct this, then ingest again")
