"""The chain of a champion's moves: what an entry says, how the next one seals it, and what can be read from them all.

Nothing here knows where the entries are kept; `ledger` does.
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
    """SHA-256 of the entry's line."""
    return hashlib.sha256(to_line(entry).encode()).hexdigest()


def to_line(entry: Entry) -> str:
    """The entry as one line of JSON, with sorted keys."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def from_line(number: int, line: str) -> Entry:
    """The entry that a line holds; an entry that says that it cannot be read, if it holds none."""
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    return entry | {"number": number} if isinstance(entry, dict) else {"number": number, UNREADABLE: line}


def broken_links(entries: Sequence[Entry], carried_out: str = "") -> list[str]:
    """A sentence for each entry that is not what its successor was written after; none means that the chain holds.

    The last entry has no successor: `carried_out` is the digest that it had when its alias was moved, "" before that.
    """
    found = []
    for number, entry in enumerate(entries, 1):
        if entry["number"] != number:
            return [*found, f"entry {number} is missing"]
        if UNREADABLE in entry:
            found.append(f"entry {number} cannot be read: {entry[UNREADABLE][:80]!r}")
        elif set(entry) != set(FIELDS):
            odd = ", ".join(sorted(set(entry) ^ set(FIELDS)))
            found.append(f"entry {number} lacks or adds {odd}")
        elif number > 1 and entry["previous_sha256"] != entry_digest(entries[number - 2]):
            found.append(f"entry {number - 1} is not the one that entry {number} was written after")
        elif number == 1 and entry["previous_sha256"]:
            found.append("entry 1 was written after another, which is missing")
    if carried_out and not (entries and entry_digest(entries[-1]) == carried_out):
        found.append(f"entry {len(entries)} is not the one that was carried out")
    return found


def champions(entries: Sequence[Entry]) -> list[str]:
    """The versions that a rollback without a target goes back through, the present champion last.

    A promotion adds one; a rollback to a version among them drops what came after it, so that the next goes one further
    back; a rollback to another version adds that.
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
    """Write the entries as JSON lines; an earlier export at `path` must be the beginning of them.

    Raises:
        VaelineError: the ledger does not go on from the earlier export: it was rewritten, or is another.
    """
    lines = [to_line(entry) for entry in entries]
    if path.is_file():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if lines[number - 1 : number] != [line]:
                raise VaelineError(
                    f"{path}: line {number} is not entry {number} of the ledger: the ledger was rewritten, or this is "
                    "an export of another; nothing was written"
                )
    with atomic_file(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
