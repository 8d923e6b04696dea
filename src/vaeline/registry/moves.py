"""Moving a champion: the ledger decides, the alias follows.

MLflow moves an alias for whoever asks last. So the move is the next entry of the ledger, which one process alone can
write, and everything after it can be done again from that entry: tags, then the alias, then the note that it is done.
A process that dies in between leaves an entry without its note; the next command that moves anything finishes it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from vaeline.errors import VaelineError
from vaeline.registry.ledger import (
    Entry,
    append,
    broken_links,
    entry_digest,
    is_done,
    ledger_name,
    mark_done,
    read_ledger,
)
from vaeline.registry.versions import UNKNOWN
from vaeline.tracking.runs import DIGEST_TAG
from vaeline.tracking.store import state_directory

Found = TypeVar("Found")
CHAMPION = "champion"
LEDGER_TAG = "vaeline.ledger_sha256"


@dataclass(frozen=True)
class Standing:
    """Which version of the registered model `name` is champion, and its digest; "" is none.

    `alias`: where the alias is. It is behind while the last entry of the ledger is `unfinished`, which means that
    nobody has noted that its alias was moved; the entry counts all the same.
    """

    name: str
    entries: tuple[Entry, ...]
    champion: str
    digest: str
    alias: str
    unfinished: bool

    @property
    def moved_by_hand(self) -> bool:
        """Whether the alias is where no entry of the ledger put it."""
        return bool(self.entries) and not self.unfinished and self.alias != self.entries[-1]["to"]

    def by_hand(self) -> str:
        """The sentence about an alias that was moved by hand."""
        at, recorded = f"at version {self.alias}" if self.alias else "nowhere", self.entries[-1]["to"]
        return f"@{CHAMPION} of {self.name} is {at}, not at version {recorded} where the ledger's last entry put it"

    def first(self) -> list[str]:
        """What has to happen before any other move, a sentence, or nothing."""
        return [f"finish: entry {len(self.entries)} of the ledger, whose alias may not have moved"] * self.unfinished

    def describe(self) -> str:
        """The champion, and since when and through whom."""
        if not self.champion:
            return f"{self.name} has no champion"
        text = f"the champion of {self.name} is version {self.champion}"
        last = self.entries[-1] if self.entries else {"to": ""}
        if last["to"] != self.champion:
            return text
        return f"{text} (entry {last['number']}: {last['action']} by {last['who']}, {last['at'][:19]})"


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Let the moves of this repository's processes wait for each other; between machines, the ledger decides alone."""
    with FileLock(state_directory() / f"{name}.lock"):
        yield


def read_standing(client: MlflowClient, name: str) -> Standing:
    """Alias and ledger of the registered model `name`, as they are now.

    Raises:
        VaelineError: the ledger's chain is broken; nothing is moved on top of it.
    """
    entries = read_ledger(client, name)
    if broken := broken_links(entries):
        raise VaelineError(
            f"the ledger of {name} is broken: {broken[0]}; nothing is moved before a person has looked at `vaeline "
            f"history` (to go on, rename the experiment {ledger_name(name)}: the next move starts a new ledger)"
        )
    alias = aliases_of(client, name).get(CHAMPION, "")
    if entries and not is_done(client, name, len(entries)):
        return Standing(name, tuple(entries), entries[-1]["to"], entries[-1]["to_digest"], alias, unfinished=True)
    version = find(client, name, alias) if alias else None
    model_digest = version.tags.get(DIGEST_TAG, "") if version else ""
    return Standing(name, tuple(entries), alias, model_digest, alias, unfinished=False)


def aliases_of(client: MlflowClient, name: str) -> dict[str, str]:
    """The aliases of a registered model and the versions that they point at; none where there is no such model."""
    found = _known(lambda: client.get_registered_model(name))
    return {alias: str(version) for alias, version in found.aliases.items()} if found else {}


def find(client: MlflowClient, name: str, version: str) -> ModelVersion | None:
    """A version of the registered model `name`; None where it was deleted or never was."""
    return _known(lambda: client.get_model_version(name, version))


def find_run(client: MlflowClient, run_id: str) -> Run | None:
    """A run, deleted ones too; None where there is none, or none any more."""
    return _known(lambda: client.get_run(run_id)) if run_id else None


def move(
    client: MlflowClient, standing: Standing, action: str, to: ModelVersion, reason: str, gate_sha256: str
) -> Entry:
    """Make `to` the champion in the place of the one in `standing`, and return the ledger's entry.

    Raises:
        OvertakenError: another move came in between; nothing was moved.
    """
    about = {
        "action": action,
        "from": standing.champion,
        "to": str(to.version),
        "from_digest": standing.digest,
        "to_digest": to.tags[DIGEST_TAG],
        "reason": reason,
        "gate_sha256": gate_sha256,
    }
    entry = append(client, standing.name, standing.entries, about)
    settle(client, standing.name)
    return entry


def finish(client: MlflowClient, name: str, tell: Callable[[str], None]) -> None:
    """Settle the last entry of the ledger if whoever wrote it did not, and tell so."""
    if read_standing(client, name).unfinished:
        entry = settle(client, name)
        tell(f"finished: entry {entry['number']} of the ledger, {entry['action']} to version {entry['to']}")


def settle(client: MlflowClient, name: str) -> Entry:
    """Let tags and alias follow the last entry of the ledger, and return it.

    A move on another machine may come in between, and its alias be overwritten here: so the ledger is read again, and
    the alias ends where the last entry says.
    """
    while True:
        entry = read_ledger(client, name)[-1]
        for version, tags in tags_of(entry).items():
            if find(client, name, version):
                for key, value in tags.items():
                    client.set_model_version_tag(name, version, key, value)
        client.set_registered_model_alias(name, CHAMPION, entry["to"])
        mark_done(client, name, entry["number"])
        if read_ledger(client, name)[-1]["number"] == entry["number"]:
            return entry


def tags_of(entry: Entry) -> dict[str, dict[str, str]]:
    """The tags that an entry gives to versions of its model."""
    if entry["action"] == "promote":
        about = {
            "vaeline.promoted_by": entry["who"],
            "vaeline.promoted_at": entry["at"],
            "vaeline.promotion_reason": entry["reason"],
            "vaeline.replaces_version": entry["from"],
            "vaeline.gate_sha256": entry["gate_sha256"],
        }
        return {entry["to"]: {**about, LEDGER_TAG: entry_digest(entry)}}
    about = {
        "vaeline.rolled_back_by": entry["who"],
        "vaeline.rolled_back_at": entry["at"],
        "vaeline.rollback_reason": entry["reason"],
    }
    left = {entry["from"]: about} if entry["from"] else {}
    return {**left, entry["to"]: {LEDGER_TAG: entry_digest(entry)}}


def _known(get: Callable[[], Found]) -> Found | None:
    try:
        return get()
    except MlflowException as error:
        if error.error_code not in UNKNOWN:
            raise
        return None
