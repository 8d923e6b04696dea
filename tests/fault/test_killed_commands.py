"""`kill -9` of a command: the same command ends as if nothing had happened, and the registry is whole."""

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from fault.catalogue import times, tried
from fault.place import kill_all, undisturbed
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
LONGEST = 40.0  # seconds after which a command is killed at the latest


@dataclass(frozen=True)
class Command:
    """A command to kill: what it needs first, how it is typed, and what is true after it."""

    place: Callable[[], Workspace]
    words: tuple[str, ...]
    holds: Callable[[Workspace], object]


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


def one_run(place: Workspace) -> object:
    return [(run.info.status, sorted(run.data.metrics)) for run in place.runs()]


COMMANDS = {
    "gate": Command(two_candidates, ("vaeline", "gate", "2"), verdict),
    "promote": Command(two_candidates, ("vaeline", "promote", "2", "--replaces", "1", "--reason", "a test"), moves),
    "rollback": Command(two_champions, ("vaeline", "rollback", "--reason", "a test"), moves),
    "ingest": Command(with_batches, ("vaeline", "ingest"), accepted),
    "track sync": Command(without_store, ("vaeline", "track", "sync"), one_run),
}


def ended(name: str) -> tuple[object, float]:
    """What holds after an undisturbed command, and the seconds that it took."""

    def make(folder: Path) -> None:
        command = COMMANDS[name]
        place = copy_workspace(command.place(), folder)
        began = time.monotonic()
        place.run(*command.words)
        seconds = time.monotonic() - began
        (folder / "ended.json").write_text(json.dumps([command.holds(place), seconds]), encoding="utf-8")

    folder = made_once(f"ended-{name.replace(' ', '-')}", make)
    return tuple(json.loads((folder / "ended.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", COMMANDS)
@times(8)
def test_a_command_that_is_killed_is_ended_by_the_next_one(tmp_path, name, seed):
    with tried(f"kill -9 of `vaeline {name}`", seed, "the same command ends as an undisturbed one") as this:
        command, (expected, seconds) = COMMANDS[name], ended(name)
        place = copy_workspace(command.place(), tmp_path)
        after = seconds * (0.3 + 0.7 * ((seed * 3) % 8 + random.Random(seed).random()) / 8)
        process = place.start(*command.words)
        time.sleep(min(after, LONGEST))
        kill_all(place, process)
        this.lost = f"killed after {after / seconds:.0%} of its time"
        again = place.start(*command.words)
        output, _ = again.communicate(timeout=600)
        assert "Traceback" not in output, output
        assert again.returncode == 0 or "is already" in output, output
        assert json.loads(json.dumps(command.holds(place))) == expected
