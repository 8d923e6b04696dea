"""Whether a retraining is due: a function of what is here, of the champion and of the last retraining.

No schedule comes into it. So a schedule that was missed is made up for by whoever asks next, and asking twice costs
nothing.
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
    """The champion's version and digest, when it was trained (UTC) and of what; None where nothing says of what."""

    version: str
    digest: str
    trained: datetime
    inputs: TrainingInputs | None


@dataclass(frozen=True)
class DueFacts:
    """All that the question depends on."""

    inputs: TrainingInputs
    champion: Champion | None
    drift: Mapping[str, Any] | None
    last: Retraining | None
    max_age: timedelta
    now: datetime

    @property
    def answer(self) -> Retraining | None:
        """The last retraining, if it was of these very inputs and its candidate judged against this champion."""
        champion = self.champion.version if self.champion else ""
        if self.last is None or (self.last.inputs, self.last.champion) != (self.inputs.digest, champion):
            return None
        return self.last

    @property
    def confirmed(self) -> datetime | None:
        """When the champion was trained, or the last retraining ended, whichever came later."""
        times = [self.champion.trained] if self.champion else []
        return max(times + ([self.last.at] if self.last else []), default=None)


@dataclass(frozen=True)
class Due:
    """The reasons for a retraining, and a sentence for each reason that does not hold."""

    reasons: list[Change]
    otherwise: list[str]

    def __bool__(self) -> bool:
        return bool(self.reasons)


def survey(client: "MlflowClient", params: Params) -> DueFacts:
    """Look at everything, in seconds. Raises VaelineError where the registry or a verdict cannot be read."""
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


def judge(seen: DueFacts) -> Due:
    """Whether a retraining is due, and why."""
    reasons, otherwise = [], []
    for reason, sentence in (_changed(seen), _drifted(seen), _aged(seen)):
        reasons += reason
        otherwise += [sentence] if sentence else []
    return Due(reasons, otherwise)


def _changed(seen: DueFacts) -> tuple[list[Change], str]:
    if seen.champion is None:
        found = [Change(NO_CHAMPION, "there is no champion yet")]
    elif seen.champion.inputs is None:
        found = [Change(UNKNOWN, f"nothing says any more what champion {seen.champion.version} was trained from")]
    else:
        found = changes(seen.champion.inputs, seen.inputs)
    if found and (last := seen.answer):
        said = f", which the gate found {last.verdict}" if last.verdict else ""
        made = f"candidate {last.candidate}{said}"
        return [], f"what is here was made into {made}, on {_day(last.at)}: a person decides"
    return found, "" if found else "data, code, parameters and dependencies are those of the champion's training"


def _drifted(seen: DueFacts) -> tuple[list[Change], str]:
    if seen.drift is None:
        return [], "no window was compared with what the champion knows" if seen.champion else ""
    at = datetime.fromisoformat(seen.drift["created"])
    if not seen.drift["triggered"]:
        return [], f"no drift: the window of {_day(at)} triggered nothing"
    if seen.last and seen.last.at > at:
        return [], f"the drift of {_day(at)} was answered by the retraining of {_day(seen.last.at)}"
    violated = [test["name"] for test in seen.drift.get("tests", []) if test.get("violated")]
    return [Change(DRIFT, f"drift has triggered on {_day(at)}{': ' if violated else ''}{', '.join(violated)}")], ""


def _aged(seen: DueFacts) -> tuple[list[Change], str]:
    if seen.champion is None or seen.confirmed is None:
        return [], ""
    age, allowed = seen.now - seen.confirmed, f"{seen.max_age / DAY:g}"
    since = "was trained" if seen.confirmed == seen.champion.trained else "was trained or last retrained"
    said = f"champion {seen.champion.version} {since} {age / DAY:.1f} days ago"
    if age > seen.max_age:
        return [Change(AGE, f"{said}, and retrain.max_age_days is {allowed}")], ""
    return [], f"{said}, of {allowed} that it may be old"


def _champion(client: "MlflowClient", name: str, version: str, model_sha256: str) -> Champion:
    """The champion with what its run says; a run that is lost, or keeps no lock, says nothing."""
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
