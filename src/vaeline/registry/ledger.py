"""The ledger: every move of a champion in order. Each entry contains the digest of the entry before it.

The entries of a registered model are the parameters `000001`, `000002`, ... of the only run in the experiment
`<model>-ledger`. MLflow has no compare-and-swap and no history of its aliases. Two of its operations, however, succeed
only once, on SQLite, on PostgreSQL and through a server:

- A parameter of a run is written once. The primary key of the database refuses a second value, and no call changes or
  deletes a parameter. If two promoters both saw six entries, one of them writes entry 7, and the other gets an error.
  Tags, artifacts and aliases can be overwritten, and model versions can be deleted.
- The name of an experiment is used once. A new ledger is made under a temporary name and then renamed. Two first
  promoters therefore do not write to two ledgers.

An experiment has its own rights. A user who may update it may promote; all others only need to read it.

Parameters are not secret and not signed: the owner of the database can write a new chain. Therefore `vaeline history
--export` compares the ledger with an earlier export. The last entry has no successor yet; the tag `done.000007` of the
same run contains its digest. Every version has the digest of the entry that made it champion in a tag.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from vaeline.errors import VaelineError
from vaeline.redaction import redact
from vaeline.registry.chain import Entry, entry_digest, from_line, to_line
from vaeline.tracking.ci import ci_tags
from vaeline.tracking.git import git
from vaeline.tracking.origin import who
from vaeline.tracking.store import LEDGER_SUFFIX, artifacts_place

RUN_TAG = "vaeline.ledger_run"
DONE = "done."
LONGEST = 6000  # characters of a parameter; MLflow cuts off longer values without an error


class OvertakenError(VaelineError):
    """Someone else wrote the next entry first; nothing was moved."""


def ledger_name(name: str) -> str:
    """The experiment that holds the ledger of the registered model `name`."""
    return f"{name}{LEDGER_SUFFIX}"


def read_ledger(client: MlflowClient, name: str) -> list[Entry]:
    """The entries of the registered model `name`, oldest first; empty if nothing was ever moved.

    Raises:
        VaelineError: the ledger was deleted.
    """
    run_id = _find_run(client, name)
    if run_id is None:
        return []
    params = client.get_run(run_id).data.params
    return [from_line(int(key), params[key]) for key in sorted(params) if key.isdecimal()]


def append(client: MlflowClient, name: str, entries: Sequence[Entry], move: Entry) -> Entry:
    """Write the entry after `entries` and return it: `move` with its number, time, author and previous digest.

    `move` has the keys action, from, to, from_digest, to_digest, reason and gate_sha256.

    Raises:
        OvertakenError: the ledger has more entries than `entries`.
        VaelineError: the entry is too long for MLflow, or the ledger was deleted.
    """
    entry = {
        "number": len(entries) + 1,
        "at": datetime.now(UTC).isoformat(timespec="microseconds"),
        "who": who(),
        "model": name,
        **move,
        "reason": redact(move.get("reason", "")),
        "commit": git("rev-parse", "HEAD"),
        "ci_url": ci_tags().get("vaeline.ci_url", ""),
        "previous_sha256": entry_digest(entries[-1]) if entries else "",
    }
    line = to_line(entry)
    if len(line) > LONGEST:
        raise VaelineError(f"an entry of the ledger may have {LONGEST:,} characters at most; give a shorter reason")
    run_id = make_ledger(client, name)
    try:
        client.log_param(run_id, _key(entry["number"]), line)
    except MlflowException:
        written = read_ledger(client, name)[len(entries) :]
        if not written:
            raise
        if written[0] != entry:  # if equal, the entry was written, and only the answer was lost
            raise _overtaken(written[0]) from None
    return entry


def make_ledger(client: MlflowClient, name: str) -> str:
    """The id of the run that holds the ledger of the registered model `name`. It is made if there is none.

    If two processes make it at once, one run is kept. The first move calls this, too. On a server with users, only the
    administrator may make experiments and has already made this one.

    Raises:
        VaelineError: the ledger was deleted, or another experiment has its name.
    """
    if known := _find_run(client, name):
        return known
    experiment = client.create_experiment(
        ledger_name(f"{name}-{uuid.uuid4().hex}"), artifacts_place(client, ledger_name(name))
    )
    run_id = client.create_run(experiment, run_name=ledger_name(name)).info.run_id
    client.update_run(run_id, status="FINISHED")
    client.set_experiment_tag(experiment, RUN_TAG, run_id)
    try:
        client.rename_experiment(experiment, ledger_name(name))
    except MlflowException:
        taken = _find_run(client, name)
        if taken is None:
            raise
        client.delete_experiment(experiment)
        return taken
    return run_id


def mark_done(client: MlflowClient, name: str, entry: Entry) -> None:
    """Record that the alias was moved as the entry says. If it differs later, it was not an interrupted move."""
    client.set_tag(make_ledger(client, name), f"{DONE}{_key(entry['number'])}", entry_digest(entry))


def done_digest(client: MlflowClient, name: str, number: int) -> str:
    """The digest that an entry had when its alias was moved; "" before that, and if there is no such entry."""
    run_id = _find_run(client, name)
    return client.get_run(run_id).data.tags.get(f"{DONE}{_key(number)}", "") if run_id else ""


def _key(number: int) -> str:
    return f"{number:06}"


def _find_run(client: MlflowClient, name: str) -> str | None:
    found = client.get_experiment_by_name(ledger_name(name))
    if found is None:
        return None
    if found.lifecycle_stage != "active":
        raise VaelineError(
            f"the ledger of {name} was deleted; `mlflow experiments restore -x {found.experiment_id}` restores it"
        )
    if RUN_TAG not in found.tags:
        raise VaelineError(f"the experiment {ledger_name(name)} is not a ledger: it has no tag {RUN_TAG}; rename it")
    return found.tags[RUN_TAG]


def _overtaken(entry: Entry) -> OvertakenError:
    return OvertakenError(
        f"{entry['who']} was faster: entry {entry['number']} of the ledger, {entry['action']} to version {entry['to']} "
        f"at {entry['at'][:19]}; nothing was moved, look at `vaeline history` and decide again"
    )
