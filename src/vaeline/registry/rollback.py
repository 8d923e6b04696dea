"""Rollback: an earlier champion becomes champion again, in seconds and without data."""

from collections.abc import Callable
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from vaeline.errors import VaelineError
from vaeline.registry.chain import Entry, champions
from vaeline.registry.moves import Standing, finish, move, one_at_a_time, read_standing
from vaeline.registry.stored import stored_version, try_stored
from vaeline.registry.versions import known_version
from vaeline.tracking.origin import who
from vaeline.tracking.runs import DIGEST_TAG


@dataclass(frozen=True)
class Rollback:
    """The plan of a rollback."""

    standing: Standing
    target: ModelVersion
    gate_sha256: str

    def steps(self) -> list[str]:
        """The steps of the rollback, one sentence for each."""
        name, target = self.standing.name, self.target.version
        number, champion = len(self.standing.entries) + 1, self.standing.champion or "none"
        return [
            *self.standing.unfinished_step(),
            f"leaves: {self.standing.describe()}",
            f"trial: version {target} of {name} is loaded in a new process and must reproduce its golden outputs",
            f"ledger: entry {number}, rollback from {champion} to {target} by {who()}",
            self.standing.alias_goes_to(f"version {target}"),
        ]


def plan_rollback(client: MlflowClient, name: str, to: str | None = None) -> Rollback:
    """The plan of a rollback of the registered model `name` to version `to`, or to the champion before the present one.

    Two rollbacks in a row go back two steps, not back and forth.

    Raises:
        VaelineError: there is no earlier champion; `to` is already champion, was never champion, or was deleted; or its
            model is not the one that the ledger recorded.
    """
    standing = read_standing(client, name)
    if to is None:
        to = _before(standing)
    if to == standing.champion and not standing.moved_by_hand:
        raise VaelineError(f"--to {to}: {standing.describe()} already")
    moves = [entry for entry in standing.entries if to == entry["to"]]
    if not moves:
        known = ", ".join(dict.fromkeys(entry["to"] for entry in standing.entries)) or "none"
        raise VaelineError(f"--to {to}: this version of {name} was never champion; the champions were: {known}")
    target = known_version(client, name, to)
    if target is None:
        raise VaelineError(f"version {to} of {name} was deleted; choose another version with --to")
    if target.tags.get(DIGEST_TAG) != moves[-1]["to_digest"]:
        raise VaelineError(
            f"version {to} of {name} has another digest than when it was champion (entry {moves[-1]['number']} of the "
            "ledger): its tag was changed"
        )
    return Rollback(standing, target, moves[-1]["gate_sha256"])


def roll_back(
    client: MlflowClient,
    name: str,
    reason: str,
    to: str | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Entry:
    """Try the target, pass each step of `plan_rollback` to `tell`, carry them out, and return the ledger's entry.

    Raises:
        VaelineError: as `plan_rollback`; no reason is given; the target's files are missing, changed or not correctly
            signed; it does not load in a new process; or it does not reproduce its golden outputs.
    """
    if not reason.strip():
        raise VaelineError("a rollback needs a --reason, which the ledger records")
    with one_at_a_time(name):
        finish(client, name, tell)
        plan = plan_rollback(client, name, to)
        for step in plan.steps():
            tell(step)
        try_stored(stored_version(client, plan.target))
        return move(client, plan.standing, "rollback", plan.target, reason, plan.gate_sha256)


def _before(standing: Standing) -> str:
    if not standing.entries:
        raise VaelineError(f"no rollback is possible: no version of {standing.name} was promoted yet")
    if standing.moved_by_hand:
        raise VaelineError(f"{standing.by_hand()}; choose the version with --to")
    path = champions(standing.entries)
    if len(path) < 2:
        raise VaelineError(f"{standing.describe()}, and there was no champion before it; choose a version with --to")
    return path[-2]
