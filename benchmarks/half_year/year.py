"""Twenty-six weeks in a repository, with the commands of a scheduled job and of two people."""

import json
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from champions.story import CLI, DVC, Place, StoryError, commit
from half_year.plan import WEEKS, WINDOW_ROWS, SimulatedBatch, Week, week_of
from mlflow import MlflowClient

from vaeline.ingestion.batches import write_batch
from vaeline.ingestion.held_back import held_back
from vaeline.ingestion.simulation import simulate
from vaeline.monitoring.report import QUIET, TRIGGERED, VIOLATED, outcome
from vaeline.monitoring.two_sample_tests import TITLES
from vaeline.params.whole import change_params, read_params
from vaeline.registry.names import served_name
from vaeline.retraining.work import CANDIDATE

STATUS = {QUIET: 0, VIOLATED: 3, TRIGGERED: 4}
SEED = 1
TRACKED = ("params.yaml", "dvc.lock", "reports/metrics.json")
BATCHES = {"clean": "accepted", "poisoned": "quarantined"}


@dataclass(frozen=True)
class Night:
    """The result of one week: plan, verdicts of monitor, ingestion and retraining, and the champion."""

    number: int
    week: Week
    monitor: dict[str, Any]
    ingested: str
    retrain: dict[str, Any]
    champion: str
    seconds: float

    @property
    def loudness(self) -> dict[str, float]:
        """The effect of each test, divided by the least effect that matters."""
        return {test["name"]: test["effect"] / test["least_effect"] for test in self.monitor["tests"]}

    @property
    def loudest(self) -> tuple[str, float]:
        """The test with the largest effect, in units of the least effect that matters."""
        return max(self.loudness.items(), key=lambda item: item[1])

    @property
    def word(self) -> str:
        """quiet, violated or triggered."""
        return outcome(self.monitor)

    @property
    def monitored(self) -> str:
        """The monitor's verdict, and the test with the largest effect."""
        name, effect = self.loudest
        return f"{self.word} ({TITLES[name]} {effect:.1f})"

    @property
    def deed(self) -> str:
        """What happened to data or models, in a few words; "" if nothing did."""
        if self.week.rolled_back:
            return "rolled back"
        if self.ingested:
            accepted = self.ingested.startswith("accepted")
            return "batch accepted,\nretrained, promoted" if accepted else "poisoned batch\nquarantined"
        if self.retrain["outcome"] == CANDIDATE:
            return f"worse model:\n{self.retrain['verdict']}"
        return ""


def begin(place: Place) -> float:
    """Train the first model and promote it, as a person would; return the seconds."""
    _, training = place.run(*CLI, "retrain")
    report = _json(place, "reports/retrain.json")
    _expect("the first retraining", report["outcome"], CANDIDATE)
    reason = ("--reason", "the first one")
    _, promotion = place.run(*CLI, "promote", report["candidate"], "--replaces", "none", *reason)
    commit(place, "The first champion")
    return training + promotion


def live(place: Place, announce: Callable[[Night], None]) -> list[Night]:
    """Run all weeks in order. Raises StoryError if one has an unexpected result."""
    nights = []
    for number in range(1, WEEKS + 1):
        nights.append(night(place, number, week_of(number)))
        announce(nights[-1])
    return nights


def night(place: Place, number: int, week: Week) -> Night:
    """Run one week: its events, the monitor on its window, new batches, and `vaeline retrain --if-due`."""
    seconds = 0.0

    def vaeline(*arguments: str, statuses: tuple[int, ...] = (0,)) -> None:
        nonlocal seconds
        _, took = place.run(*CLI, *arguments, statuses=statuses)
        seconds += took

    window = f"../windows/week-{number:02}.npz"
    with chdir(place.root):
        draw(Path(window), week.kind, WINDOW_ROWS, (number - 1) * WINDOW_ROWS)
    if week.changes is None:
        take_back(place)
    elif week.changes:
        change_params(dict(week.changes), place.root / "params.yaml")
        commit(place, week.told)
    if week.rolled_back:
        vaeline("rollback", "--reason", week.rolled_back)
    vaeline("monitor", window, statuses=tuple(STATUS[word] for word in week.monitor))
    monitor = _json(place, "reports/monitor.json")
    ingested = ingest(place, vaeline, week.batch) if week.batch else ""
    vaeline("retrain", "--if-due")
    report = _json(place, "reports/retrain.json")
    _expect(f"week {number}: retraining", report["outcome"], week.answer(outcome(monitor)))
    commit(place, f"Week {number}")
    return Night(number, week, monitor, ingested, report, champion(place), seconds)


def draw(target: Path, kind: str, rows: int, offset: int) -> None:
    """Write what `vaeline simulate` writes, without the time to start a command."""
    images, labels, classes = held_back(read_params())
    batch = simulate(kind, images, labels, rows, SEED, offset=offset)
    write_batch(target, batch.images, batch.labels, classes)


def ingest(place: Place, vaeline: Callable[..., None], batch: SimulatedBatch) -> str:
    """Let a batch arrive and ingest it; return a line with the result."""
    with chdir(place.root):
        draw(Path(f"data/incoming/{batch.name}.npz"), batch.kind, batch.rows, batch.offset)
    vaeline("ingest")
    found = _json(place, "reports/ingest.json")
    (entry,) = [entry for entry in found[BATCHES[batch.kind]] if entry["name"] == f"{batch.name}.npz"]
    return f"{BATCHES[batch.kind]}: {entry['why'].partition(', such as')[0]}"


def take_back(place: Place) -> None:
    """Undo the last two commits (the change of parameters and the night after it) in git and DVC."""
    place.run("git", "checkout", "--quiet", "HEAD~2", "--", *TRACKED)
    commit(place, "Take the change back")
    place.run(*DVC, "checkout", "--quiet")


def champion(place: Place) -> str:
    """The number of the version that is champion."""
    client = MlflowClient(f"sqlite:///{place.root}/mlflow.db")
    name = served_name(read_params(place.root / "params.yaml").data.name)
    return str(client.get_model_version_by_alias(name, "champion").version)


def _json(place: Place, file: str) -> dict[str, Any]:
    return json.loads((place.root / file).read_text(encoding="utf-8"))


def _expect(what: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise StoryError(f"{what}: {found}, and not {wanted}")
