"""Commands that are disturbed: what each needs, how it is typed, and what is true after an undisturbed one."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fault.place import undisturbed
from pipeline.workspace import Workspace, copy_workspace, make_workspace
from shared import made_once

LENIENT = {
    "gate.mode": "non_inferior",
    "gate.margin": 500.0,
    "gate.slice_margin": 500.0,
    "gate.worst": 1000.0,
    "gate.nll_images": 200,
    "gate.nll_samples": 4,
    "gate.resamples": 100,
    "gate.floors.kl": 0.1,
    "gate.floors.precision": 0.0,
    "gate.floors.recall": 0.0,
    "gate.floors.auroc": 0.1,
    "gate.budget.milliseconds": 60_000.0,
}


@dataclass(frozen=True)
class Command:
    """A command to disturb: what it needs first, how it is typed, what is true after it, and changed parameters."""

    place: Callable[[], Workspace]
    words: tuple[str, ...]
    holds: Callable[[Workspace], object]
    changed: Mapping[str, Any] = field(default_factory=dict)

    def prepare(self, folder: Path) -> Workspace:
        """A workspace of its own for the command, in `folder`."""
        place = copy_workspace(self.place(), folder)
        place.change(**{key.replace(".", "__"): value for key, value in self.changed.items()})
        return place

    def ends_as(self, place: Workspace, expected: object) -> None:
        """Type the command. It ends, or says that it has done its work already, and what is true then is `expected`."""
        process = place.start(*self.words)
        output, _ = process.communicate(timeout=600)
        assert "Traceback" not in output, output
        assert process.returncode == 0 or "already" in output, output
        assert json.loads(json.dumps(self.holds(place))) == expected


def two_candidates() -> Workspace:
    """A finished workspace with a lenient gate and two candidates that passed it; the first is the champion."""

    def make(folder: Path) -> None:
        place = copy_workspace(undisturbed()[0], folder, "shop")
        place.change(**{key.replace(".", "__"): value for key, value in LENIENT.items()})
        place.run("vaeline", "gate", "1")
        place.run("vaeline", "promote", "1", "--replaces", "none", "--reason", "a test")
        place.change(train__seed=2)
        place.run("vaeline", "run")
        place.run("vaeline", "gate", "2")

    return Workspace(made_once("two-candidates", make) / "shop")


def two_champions() -> Workspace:
    """As `two_candidates`, and the second has replaced the first."""

    def make(folder: Path) -> None:
        place = copy_workspace(two_candidates(), folder, "shop")
        place.run("vaeline", "promote", "2", "--replaces", "1", "--reason", "a test")

    return Workspace(made_once("two-champions", make) / "shop")


def with_batches() -> Workspace:
    """A workspace with prepared data, 200 digits held back, and two batches of them that have arrived."""

    def make(folder: Path) -> None:
        place = make_workspace(folder / "shop", **{"data.hold_back": 300})
        place.repro("prepare")
        for number, offset in enumerate((0, 100)):
            file = f"data/incoming/week-{number}.npz"
            place.run("vaeline", "simulate", "clean", "--rows", "100", "--offset", str(offset), "--out", file)

    return Workspace(made_once("with-batches", make) / "shop")


def without_store() -> Workspace:
    """A finished and committed workspace whose store was deleted."""

    def make(folder: Path) -> None:
        place = copy_workspace(undisturbed()[0], folder, "shop")
        author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        place.run("git", "add", "--all")
        place.run("git", *author, "commit", "--quiet", "--message", "Train")
        place.run("rm", "-rf", "mlflow.db", "mlruns")

    return Workspace(made_once("without-store", make) / "shop")


def moves(place: Workspace) -> object:
    """The registry is whole; the moves of the champion."""
    place.run("vaeline", "history", "--export", "ledger.jsonl")
    entries = map(json.loads, (place.root / "ledger.jsonl").read_text(encoding="utf-8").splitlines())
    return place.run("vaeline", "registry", "check"), [(entry["action"], entry["to"]) for entry in entries]


def verdict(place: Workspace) -> object:
    return place.json("reports/gate.json")["verdict"], place.run("vaeline", "registry", "check")


def accepted(place: Workspace) -> object:
    """Both batches are accepted once, and the data can be prepared with them."""
    records = sorted((place.root / "data/accepted").glob("*.json"))
    place.repro("prepare")
    rows = sorted(json.loads(record.read_text())["kept"] for record in records)
    left = [file.name for file in (place.root / "data/batches").iterdir() if file.name.startswith(".")]
    return rows, place.json("data/prepared/manifest.json")["splits"], [name for name in left if name != ".gitignore"]


def retrained(place: Workspace) -> object:
    """The report, the versions, and a run for each; nothing was trained twice."""
    report = place.json("reports/retrain.json")
    versions = len(place.client().search_model_versions())
    statuses = [run.info.status for run in place.runs() if "train/loss" in run.data.metrics]
    return [report[key] for key in ("outcome", "candidate", "verdict")], versions, statuses, moves(place)


def one_run(place: Workspace) -> object:
    return [(run.info.status, sorted(run.data.metrics)) for run in place.runs()]


COMMANDS = {
    "gate": Command(two_candidates, ("vaeline", "gate", "2"), verdict),
    "promote": Command(two_candidates, ("vaeline", "promote", "2", "--replaces", "1", "--reason", "a test"), moves),
    "rollback": Command(two_champions, ("vaeline", "rollback", "--to", "1", "--reason", "a test"), moves),
    "ingest": Command(with_batches, ("vaeline", "ingest"), accepted),
    "retrain": Command(two_champions, ("vaeline", "retrain"), retrained, {"train.seed": 3}),
    "track sync": Command(without_store, ("vaeline", "track", "sync"), one_run),
}


def ended(name: str) -> tuple[object, float]:
    """What holds after an undisturbed command, and the seconds that it took."""

    def make(folder: Path) -> None:
        command = COMMANDS[name]
        place = command.prepare(folder)
        began = time.monotonic()
        place.run(*command.words)
        seconds = time.monotonic() - began
        (folder / "ended.json").write_text(json.dumps([command.holds(place), seconds]), encoding="utf-8")

    folder = made_once(f"ended-{name.replace(' ', '-')}", make)
    return tuple(json.loads((folder / "ended.json").read_text(encoding="utf-8")))
