"""Moving a champion: first write the ledger, then move the alias.

In MLflow, the last writer of an alias wins. Therefore a move begins with the next entry of the ledger, which only one
process can write. The rest follows from this entry and can be repeated: the tags, the alias, and the note that it is
done. If a process is killed in between, the entry has no such note, and the next command that moves something finishes
the move.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from vaeline.errors import VaelineError
from vaeline.registry.chain import Entry, broken_links, entry_digest
from vaeline.registry.ledger import append, done_digest, ledger_name, mark_done, read_ledger
from vaeline.registry.names import CHAMPION
from vaeline.registry.versions import aliases_of, known_version
from vaeline.tracking.runs import DIGEST_TAG
from vaeline.tracking.store import state_directory

LEDGER_TAG = "vaeline.ledger_sha256"


@dataclass(frozen=True)
class Standing:
    """The version of the registered model `name` that is champion, and its digest; "" means none.

    The champion is the version of the alias, unless the last entry of the ledger is `unfinished` (it has no note that
    its alias was moved). Then the champion is the version of this entry, and the alias may still be the old one.
    """

    name: str
    entries: tuple[Entry, ...]
    champion: str
    digest: str
    unfinished: bool

    @property
    def moved_by_hand(self) -> bool:
        """Whether the alias differs from the last entry of the ledger."""
        return bool(self.entries) and not self.unfinished and self.champion != self.entries[-1]["to"]

    def by_hand(self) -> str:
        """The sentence about an alias that was moved by hand."""
        at, recorded = f"at version {self.champion}" if self.champion else "nowhere", self.entries[-1]["to"]
        return f"@{CHAMPION} of {self.name} is {at}, not at version {recorded} where the ledger's last entry put it"

    def unfinished_step(self) -> list[str]:
        """A list with the step that finishes an unfinished entry before any other move; empty if there is none."""
        return [f"finish: entry {len(self.entries)} of the ledger; its alias may not have moved"] * self.unfinished

    def alias_goes_to(self, target: str) -> str:
        """The sentence about the change of the alias."""
        at = f"version {self.champion}" if self.champion else "nowhere"
        return f"alias: @{CHAMPION} of {self.name} goes from {at} to {target}"

    def describe(self) -> str:
        """The sentence about the champion: which version, since when, and by whom."""
        if not self.champion:
            return f"{self.name} has no champion"
        text = f"the champion of {self.name} is version {self.champion}"
        last = self.entries[-1] if self.entries else {"to": ""}
        if last["to"] != self.champion:
            return text
        return f"{text} (entry {last['number']}: {last['action']} by {last['who']}, {last['at'][:19]})"


@contextmanager
def one_at_a_time(name: str) -> Generator[None]:
    """One process of this repository at a time moves a champion. The ledger prevents moves by two machines at once."""
    with FileLock(state_directory() / f"{name}.lock"):
        yield


def read_standing(client: MlflowClient, name: str) -> Standing:
    """The present alias and ledger of the registered model `name`.

    Raises:
        VaelineError: the ledger is broken. A broken ledger allows no move.
    """
    entries = read_ledger(client, name)
    carried_out = done_digest(client, name, len(entries))
    if broken := broken_links(entries, carried_out):
        raise VaelineError(
            f"the ledger of {name} is broken: {broken[0]}; look at `vaeline history` before anything is moved (to "
            f"continue, rename the experiment {ledger_name(name)}; the next move then starts a new ledger)"
        )
    if entries and not carried_out:
        return Standing(name, tuple(entries), entries[-1]["to"], entries[-1]["to_digest"], unfinished=True)
    champion = aliases_of(client, name).get(CHAMPION, "")
    version = known_version(client, name, champion) if champion else None
    model_digest = version.tags.get(DIGEST_TAG, "") if version else ""
    return Standing(name, tuple(entries), champion, model_digest, unfinished=False)


def move(
    client: MlflowClient, standing: Standing, action: str, to: ModelVersion, reason: str, gate_sha256: str
) -> Entry:
    """Make `to` the champion instead of the one in `standing`, and return the ledger's entry.

    Raises:
        OvertakenError: another process moved the champion first; nothing was moved.
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
    """Settle the last entry of the ledger if its writer did not, and pass a sentence about it to `tell`."""
    if read_standing(client, name).unfinished:
        entry = settle(client, name)
        lost = "" if known_version(client, name, entry["to"]) else ", which was deleted"
        tell(f"finished: entry {entry['number']} of the ledger, {entry['action']} to version {entry['to']}{lost}")


def settle(client: MlflowClient, name: str) -> Entry:
    """Set tags and alias as the last entry of the ledger says, and return this entry.

    Another machine may write a move at the same time, and this process may overwrite its alias. Therefore the ledger is
    read again, until the alias agrees with the last entry. If the version of that entry was deleted, the alias stays.
    It then counts as `Standing.moved_by_hand`, and the next move corrects it.
    """
    while True:
        entry = read_ledger(client, name)[-1]
        for version, tags in tags_of(entry).items():
            if known_version(client, name, version):
                for key, value in tags.items():
                    client.set_model_version_tag(name, version, key, value)
        if known_version(client, name, entry["to"]):
            client.set_registered_model_alias(name, CHAMPION, entry["to"])
        mark_done(client, name, entry)
        if read_ledger(client, name)[-1]["number"] == entry["number"]:
            return entry


def tags_of(entry: Entry) -> dict[str, dict[str, str]]:
    """The tags that an entry sets on versions of its model, by version."""
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
