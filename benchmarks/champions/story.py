"""The life of a champion, by the commands that a person types: train, judge, promote, replace, roll back.

The same story runs with the default preset on the real MNIST (`python benchmarks/champions`) and with small models on
the digits (tests/pipeline/test_champions.py). It stops when a command ends with an unexpected status.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaeline.params.base import flatten
from vaeline.params.whole import change_params, read_params
from vaeline.registry.names import candidate_name

CLI = (sys.executable, "-m", "vaeline.cli")
DVC = (sys.executable, "-m", "dvc")
AUTHOR = ("-c", "user.name=story", "-c", "user.email=story@example.org")
PASS, INCONCLUSIVE, FAIL = 0, 3, 4
REFUSED = 1
PATIENCE = 300.0
A, B, C, AGAIN = "A", "B", "C", "A again"
NUMBERS = {A: "1", B: "2", C: "3", AGAIN: "4"}

Changes = Mapping[str, object]
Report = dict[str, Any]


class StoryError(Exception):
    """A command or a result was not as expected; the text says which."""


@dataclass(frozen=True)
class Scene:
    """One step: the command (or the service that follows), its outcome, its seconds and its whole output."""

    command: str
    outcome: str
    seconds: float
    output: str


@dataclass
class Story:
    """All scenes in order, the gate's reports, and the versions that the service answered with."""

    scenes: list[Scene] = field(default_factory=list)
    reports: dict[str, Report] = field(default_factory=dict)
    served: list[str] = field(default_factory=list)

    def said(self, command: str) -> str:
        """The output of the command that is written like this; it must occur once."""
        (scene,) = (scene for scene in self.scenes if scene.command == command)
        return scene.output


@dataclass(frozen=True)
class Place:
    """A repository with prepared data and no trained model; where and how its commands run."""

    root: Path
    environment: Mapping[str, str]
    changes: Mapping[str, Changes]

    def run(self, *command: str, statuses: tuple[int, ...] = (0,)) -> tuple[str, float]:
        """Run a command; return its output and seconds. Raises StoryError if it ends with another status."""
        began = time.perf_counter()
        status, output = self.execute(*command)
        if status not in statuses:
            raise StoryError(
                f"{' '.join(command)} ended with {status}, not {' or '.join(map(str, statuses))}:\n{output}"
            )
        return output, time.perf_counter() - began

    def execute(self, *command: str) -> tuple[int, str]:
        """Run a command to its end; return its exit status and output."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=dict(self.environment),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.returncode, done.stdout


def tell(place: Place, announce: Callable[[Scene], None] = lambda scene: None) -> Story:
    """Train A and promote it; replace it by a better B; reject a collapsed C; roll back to A; reject another seed of A.

    A has the parameters of params.yaml. `place.changes` says what B, C and the other seed change.

    Raises:
        StoryError: a verdict, a refusal or the served version is not as expected.
    """
    story = Story()

    def add(scene: Scene) -> None:
        story.scenes.append(scene)
        announce(scene)

    def vaeline(*arguments: str, status: int = 0, outcome: Callable[[str], str] = _last_line) -> None:
        output, seconds = place.run(*CLI, *arguments, statuses=(status,))
        add(Scene(f"vaeline {' '.join(arguments)}", outcome(output), seconds, output))

    def judge(model: str, status: int) -> None:
        def outcome(output: str) -> str:
            story.reports[model] = json.loads((place.root / "reports/gate.json").read_text(encoding="utf-8"))
            return verdict_in_words(story.reports[model])

        vaeline("gate", NUMBERS[model], status=status, outcome=outcome)

    params = read_params(place.root / "params.yaml")
    first, candidates = flatten(params.model_dump(by_alias=True)), candidate_name(params.data.name)
    with serving(place) as address:

        def follow(version: str) -> None:
            output, seconds = wait_for_version(address, version)
            story.served.append(version)
            add(Scene("vaeline serve", f"answers with version {version}", seconds, output))

        add(train(place, A, first))
        judge(A, PASS)
        vaeline("promote", NUMBERS[A], "--replaces", "none")
        follow("1")
        add(train(place, B, first))
        judge(B, PASS)
        vaeline("promote", NUMBERS[B], "--replaces", "1")
        follow("2")
        add(train(place, C, first))
        judge(C, FAIL)
        vaeline("promote", NUMBERS[C], status=REFUSED)
        vaeline("rollback", "--reason", "B is on trial")
        follow("1")
        add(train(place, AGAIN, first))
        judge(AGAIN, INCONCLUSIVE)
        vaeline("promote", NUMBERS[AGAIN], status=REFUSED)
        follow("1")
    vaeline("history", outcome=_moves)
    vaeline("registry", "check")
    for number in NUMBERS.values():
        vaeline("lineage", f"models:/{candidates}/{number}", outcome=_origin)
    return story


def train(place: Place, model: str, first: Changes) -> Scene:
    """Train and register a model with the pipeline; commit its parameters before and its `dvc.lock` after."""
    changes = place.changes.get(model, {})
    change_params({**first, **changes}, place.root / "params.yaml")
    commit(place, f"Try {model}")
    output, seconds = place.run(*DVC, "repro")
    commit(place, f"Record {model}")
    metrics = json.loads((place.root / "reports/metrics.json").read_text(encoding="utf-8"))["test"]
    changed = ", ".join(f"{key} {value}" for key, value in changes.items())
    return Scene(
        f"dvc repro ({model}{f': {changed}' if changed else ''})",
        f"version {NUMBERS[model]} of the candidates: −ELBO {metrics['neg_elbo']:.1f}, KL {metrics['kl']:.2f} nats",
        seconds,
        output,
    )


def commit(place: Place, message: str) -> None:
    """Commit all changes; the commit may be empty."""
    place.run("git", "add", "--all")
    place.run("git", *AUTHOR, "commit", "--quiet", "--allow-empty", "--message", message)


def verdict_in_words(report: Report) -> str:
    """The verdict, the gain with its interval, and the names of the checks that did not pass."""
    parts = [report["verdict"]]
    if gain := report["improvement"]:
        parts.append(f"gain {gain['mean']:+.2f} ({gain['low']:+.2f} to {gain['high']:+.2f}) {report['unit']}")
    else:
        parts.append("no champion")
    for word in ("fail", "inconclusive"):
        if names := [check["name"] for check in report["checks"] if check["verdict"] == word]:
            parts.append(f"{word}: {', '.join(names)}")
    return "; ".join(parts)


@contextmanager
def serving(place: Place) -> Iterator[str]:
    """Run `vaeline serve` until the block ends, and give its address. It waits for a champion and follows it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = place.root / ".vaeline/serve.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [*CLI, "serve", "--port", str(port), "--interval", "0.5"],
            cwd=place.root,
            env=dict(place.environment),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(PATIENCE)


def wait_for_version(address: str, version: str) -> tuple[str, float]:
    """Wait until the service answers with this version; return its answer and the seconds that this took."""
    began = time.perf_counter()
    said = "it never answered"
    while time.perf_counter() - began < PATIENCE:
        try:
            with urllib.request.urlopen(f"{address}/sample", timeout=PATIENCE) as response:
                said = response.read().decode()
            if json.loads(said)["model"]["version"] == version:
                return said, time.perf_counter() - began
        except urllib.error.HTTPError as error:
            said = error.read().decode()
        except OSError as error:
            said = str(error)
        time.sleep(0.1)
    raise StoryError(f"vaeline serve does not follow to version {version}: {said[:300]}")


def write_table(file: Path, story: Story, head: str) -> None:
    """Write the scenes as a Markdown table."""
    lines = [head, "| command | what came of it | seconds |", "|---|---|---|"]
    lines += [f"| `{scene.command}` | {scene.outcome} | {scene.seconds:.1f} |" for scene in story.scenes]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _last_line(output: str) -> str:
    return [line.strip() for line in output.splitlines() if line.strip()][-1]


def _moves(history: str) -> str:
    return ", then ".join(re.findall(r"│ (promote|rollback) +│", history))


def _origin(lineage: str) -> str:
    """The run, the commit and the data at the start of a lineage."""
    parts = []
    for kind in ("run", "commit", "data data/prepared"):
        found = re.search(rf"← {kind}(.*?) ([0-9a-f]{{12}})[0-9a-f]*", lineage)
        if not found:
            raise StoryError(f"no {kind} in the lineage:\n{lineage}")
        parts.append(f"{kind}{found[1]} {found[2]}…")
    return "; ".join(parts)
