"""Whether a retraining is due: a function of the files here, of the champion and of the last retraining.

The answer does not depend on a schedule. After a missed schedule, the next call gives the same answer. A second call
costs nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from vaeline.params.whole import Params
from vaeline.provenance.evidence import COMMIT_TAG, lock_of
from vaeline.registry.moves import read_standing
from vaeline.registry.names import served_name
from vaeline.registry.versions import known_run, known_version
from vaeline.retraining.drift import newest_verdict
from vaeline.retraining.inputs import Change, TrainingInputs, changes, present_inputs, recorded_inputs
from vaeline.retraining.record import Retraining, read_last
from vaeline.tracking.history import lock_on_disk, recorded_locks

if TYPE_CHECKING:
    from mlflow import MlflowClient

NO_CHAMPION, UNKNOWN, DRIFT, AGE = "champion", "unknown", "drift", "age"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Champion:
    """The champion's version and digest, the time of its training (UTC), and its inputs, None if they are lost."""

    version: str
    digest: str
    trained: datetime
    inputs: TrainingInputs | None


@dataclass(frozen=True)
class DueFacts:
    """The facts that decide whether a retraining is due."""

    inputs: TrainingInputs
    champion: Champion | None
    drift: Mapping[str, Any] | None
    last: Retraining | None
    max_age: timedelta
    now: datetime

    @property
    def last_of_these_inputs(self) -> Retraining | None:
        """The last retraining, if it had the present inputs and was compared with the present champion."""
        champion = self.champion.version if self.champion else ""
        if self.last is None or (self.last.inputs, self.last.champion) != (self.inputs.digest, champion):
            return None
        return self.last

    @property
    def confirmed(self) -> datetime | None:
        """The time of the champion's training or of the last retraining, whichever is later."""
        times = [self.champion.trained] if self.champion else []
        return max(times + ([self.last.at] if self.last else []), default=None)


@dataclass(frozen=True)
class Due:
    """The reasons for a retraining, and a sentence for each reason that does not hold."""

    reasons: list[Change]
    otherwise: list[str]

    def __bool__(self) -> bool:
        return bool(self.reasons)


def read_facts(client: "MlflowClient", params: Params) -> DueFacts:
    """Read the facts. This takes seconds. Raises VaelineError if the registry or a verdict cannot be read."""
    standing = read_standing(client, served_name(params.data.name))
    champion = _champion(client, standing.name, standing.champion, standing.digest) if standing.champion else None
    return DueFacts(
        inputs=present_inputs(),
        champion=champion,
        drift=newest_verdict(client, champion.digest) if champion else None,
        last=read_last(client, params.data.name),
        max_age=timedelta(days=params.retrain.max_age_days),
        now=datetime.now(UTC),
    )


def judge(facts: DueFacts) -> Due:
    """Whether a retraining is due, and why."""
    reasons, otherwise = [], []
    for reason, sentence in (_changed(facts), _drifted(facts), _aged(facts)):
        reasons += reason
        otherwise += [sentence] if sentence else []
    return Due(reasons, otherwise)


def _changed(facts: DueFacts) -> tuple[list[Change], str]:
    if facts.champion is None:
        found = [Change(NO_CHAMPION, "there is no champion yet")]
    elif facts.champion.inputs is None:
        found = [Change(UNKNOWN, f"the run of champion {facts.champion.version} and its dvc.lock are lost")]
    else:
        found = changes(facts.champion.inputs, facts.inputs)
    if found and (last := facts.last_of_these_inputs):
        verdict = f" (gate: {last.verdict})" if last.verdict else ""
        made = f"candidate {last.candidate}{verdict} was made from these inputs on {_day(last.at)}"
        return [], f"{made}, and a person decides about it"
    return found, "" if found else "data, code, parameters and dependencies are those of the champion's training"


def _drifted(facts: DueFacts) -> tuple[list[Change], str]:
    if facts.drift is None:
        return [], "`vaeline monitor` has not compared new images with the champion" if facts.champion else ""
    at = datetime.fromisoformat(facts.drift["created"])
    if not facts.drift["triggered"]:
        return [], f"no drift: the window of {_day(at)} did not trigger"
    if facts.last and facts.last.at > at:
        return [], f"a retraining on {_day(facts.last.at)} followed the drift of {_day(at)}"
    violated = [test["name"] for test in facts.drift.get("tests", []) if test.get("violated")]
    return [Change(DRIFT, f"drift triggered on {_day(at)}{': ' if violated else ''}{', '.join(violated)}")], ""


def _aged(facts: DueFacts) -> tuple[list[Change], str]:
    if facts.champion is None or facts.confirmed is None:
        return [], ""
    age, allowed = facts.now - facts.confirmed, f"{facts.max_age / DAY:g}"
    since = "was trained" if facts.confirmed == facts.champion.trained else "was trained or last retrained"
    age_text = f"champion {facts.champion.version} {since} {age / DAY:.1f} days ago"
    if age > facts.max_age:
        return [Change(AGE, f"{age_text}, and retrain.max_age_days is {allowed}")], ""
    return [], f"{age_text}; retrain.max_age_days is {allowed}"


def _champion(client: "MlflowClient", name: str, version: str, model_sha256: str) -> Champion:
    """The champion with the inputs that its run records. They are None if the run or its `dvc.lock` is lost."""
    served = known_version(client, name, version)
    registered = datetime.fromtimestamp(served.creation_timestamp / 1000, UTC) if served else datetime.now(UTC)
    run = known_run(client, served.run_id) if served else None
    if run is None:
        return Champion(version, model_sha256, registered, None)
    trained = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
    lock = lock_of(client, run, []) or lock_of(client, run, [*recorded_locks()[0], *lock_on_disk()])
    if lock is None:
        return Champion(version, model_sha256, trained, None)
    commits = filter(None, (lock.commit, run.data.tags.get(COMMIT_TAG, "")))
    return Champion(version, model_sha256, trained, recorded_inputs(lock.stages, run.data.tags, commits))


def _day(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
