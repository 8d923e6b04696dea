"""The chain of a champion's moves: what an entry contains, how the next entry seals it, and what the chain says.

`ledger` knows where the entries are stored; this module does not.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vaeline.artifacts import atomic_file
from vaeline.errors import VaelineError

Entry = dict[str, Any]
FIELDS = (
    "number",
    "at",
    "who",
    "action",
    "model",
    "from",
    "to",
    "from_digest",
    "to_digest",
    "reason",
    "gate_sha256",
    "commit",
    "ci_url",
    "previous_sha256",
)
UNREADABLE = "unreadable"


def entry_digest(entry: Entry) -> str:
    """SHA-256 of the entry's line of JSON."""
    return hashlib.sha256(to_line(entry).encode()).hexdigest()


def to_line(entry: Entry) -> str:
    """The entry as one line of JSON, with sorted keys."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def from_line(number: int, line: str) -> Entry:
    """The entry of a line. A line that cannot be read gives an entry that says so."""
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    return entry | {"number": number} if isinstance(entry, dict) else {"number": number, UNREADABLE: line}


def broken_links(entries: Sequence[Entry], carried_out: str = "") -> list[str]:
    """One sentence for each entry whose digest is not the one that the next entry recorded. Empty if all are right.

    The last entry has no next entry. It is compared with `carried_out`, the digest that it had when its alias was moved
    ("" if the alias was not moved yet).
    """
    found = []
    for number, entry in enumerate(entries, 1):
        if entry["number"] != number:
            return [*found, f"entry {number} is missing"]
        if UNREADABLE in entry:
            found.append(f"entry {number} cannot be read: {entry[UNREADABLE][:80]!r}")
        elif set(entry) != set(FIELDS):
            odd = ", ".join(sorted(set(entry) ^ set(FIELDS)))
            found.append(f"entry {number} has missing or additional keys: {odd}")
        elif number > 1 and entry["previous_sha256"] != entry_digest(entries[number - 2]):
            found.append(f"entry {number - 1} does not have the digest that entry {number} records")
        elif number == 1 and entry["previous_sha256"]:
            found.append("entry 1 records an earlier entry, which is missing")
    if carried_out and not (entries and entry_digest(entries[-1]) == carried_out):
        found.append(f"entry {len(entries)} is not the one that was carried out")
    return found


def champions(entries: Sequence[Entry]) -> list[str]:
    """The path for rollbacks without a target: versions that were champion, with the present champion last.

    A promotion appends its version. A rollback to one of these versions drops the versions after it, so that the next
    rollback goes one step further back. A rollback to another version appends that version.
    """
    path: list[str] = []
    for entry in entries:
        earlier = path[:-1]
        if entry["action"] == "rollback" and entry["to"] in earlier:
            del path[len(earlier) - earlier[::-1].index(entry["to"]) :]
        else:
            path.append(entry["to"])
    return path


def export_ledger(entries: Sequence[Entry], path: Path) -> None:
    """Write the entries as JSON lines. An earlier export at `path` must be equal to the first entries.

    Raises:
        VaelineError: the ledger does not continue the earlier export. It was rewritten, or it is another ledger.
    """
    lines = [to_line(entry) for entry in entries]
    if path.is_file():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if lines[number - 1 : number] != [line]:
                raise VaelineError(
                    f"{path}: line {number} is not entry {number} of the ledger; the ledger was rewritten, or the file "
                    "is the export of another ledger; nothing was written"
                )
    with atomic_file(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
