"""Moving a champion: the ledger decides, the alias follows.

MLflow moves an alias for whoever asks last. So the move is the next entry of the ledger, which one process alone can
write, and everything after it can be done again from that entry: tags, then the alias, then the note that it is done.
A process that dies in between leaves an entry without its note; the next command that moves anything finishes it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from vaeline.errors import VaelineError
from vaeline.registry.ledger import Entry, append, broken_links, entry_digest, is_done, ledger_name, mark_done
from vaeline.registry.ledger import read_ledger as read
from vaeline.registry.stored import UNKNOWN
from vaeline.tracking.runs import DIGEST_TAG
from vaeline.tracking.store import state_directory

CHAMPION = "champion"
LEDGER_TAG = "vaeline.ledger_sha256"


@dataclass(frozen=True)
class Standing:
    """Which version of the registered model `name` is champion, by its alias and by its ledger; "" is none.

    `unfinished`: whoever wrote the last entry has not noted that the alias followed it.
    """

    name: str
    entries: tuple[Entry, ...]
    champion: str
    digest: str
    unfinished: bool

    @property
    def recorded(self) -> str:
        """The champion by the ledger; by the alias where nothing was recorded yet."""
        return self.entries[-1]["to"] if self.entries else self.champion

    @property
    def moved_by_hand(self) -> bool:
        """Whether the alias was moved by something else than this ledger's moves."""
        return not self.unfinished and self.champion != self.recorded

    def describe(self) -> str:
        """The champion, and since when and through whom."""
        if not self.champion:
            return f"{self.name} has no champion"
        text = f"the champion of {self.name} is version {self.champion}"
        last = self.entries[-1] if self.entries else {"to": ""}
        if last["to"] != self.champion:
            return text
        return f"{text} (entry {last['number']}: {last['action']} by {last['who']} at {last['at'][:19]})"


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
    entries = read(client, name)
    if broken := broken_links(entries):
        raise VaelineError(
            f"the ledger of {name} is broken: {broken[0]}; nothing is moved before a person has looked at `vaeline "
            f"history` (to go on, rename the experiment {ledger_name(name)}: the next move starts a new ledger)"
        )
    champion = champion_of(client, name)
    version = find(client, name, champion) if champion else None
    unfinished = bool(entries) and not is_done(client, name, len(entries))
    return Standing(name, tuple(entries), champion, version.tags.get(DIGEST_TAG, "") if version else "", unfinished)


def champion_of(client: MlflowClient, name: str) -> str:
    """The version that the alias `champion` points at; empty where there is none."""
    try:
        return str(client.get_registered_model(name).aliases.get(CHAMPION, ""))
    except MlflowException as error:
        if error.error_code not in UNKNOWN:
            raise
        return ""


def find(client: MlflowClient, name: str, version: str) -> ModelVersion | None:
    """A version of the registered model `name`; None where it was deleted or never was."""
    try:
        return client.get_model_version(name, version)
    except MlflowException as error:
        if error.error_code not in UNKNOWN:
            raise
        return None


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


def settle(client: MlflowClient, name: str) -> Entry:
    """Let tags and alias follow the last entry of the ledger, and return it.

    A move on another machine may come in between, and its alias be overwritten here: so the ledger is read again, and
    the alias ends where the last entry says.
    """
    while True:
        entry = read(client, name)[-1]
        for version, tags in tags_of(entry).items():
            if find(client, name, version):
                for key, value in tags.items():
                    client.set_model_version_tag(name, version, key, value)
        client.set_registered_model_alias(name, CHAMPION, entry["to"])
        mark_done(client, name, entry["number"])
        if read(client, name)[-1]["number"] == entry["number"]:
            return entry


def tags_of(entry: Entry) -> dict[str, dict[str, str]]:
    """The tags that an entry gives to versions of its model."""
    if entry["action"] == "promote":
        about = {
            "vaeline.promoted_by": entry["who"],
            "vaeline.promoted_at": entry["at"],
            "vaeline.promotion_reason": entry["reason"],
            "vaeline.replaces_version": entry["from"],
        }
        return {entry["to"]: {**about, LEDGER_TAG: entry_digest(entry)}}
    about = {
        "vaeline.rolled_back_by": entry["who"],
        "vaeline.rolled_back_at": entry["at"],
        "vaeline.rollback_reason": entry["reason"],
    }
    left = {entry["from"]: about} if entry["from"] else {}
    return {**left, entry["to"]: {LEDGER_TAG: entry_digest(entry)}}
