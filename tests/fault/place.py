"""A workspace in which faults are tried: what an undisturbed run leaves, and how all that works in it is killed."""

import random
import re
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import Any

import psutil
from pipeline.workspace import Workspace, copy_workspace, make_workspace
from shared import made_once

from vaeline.artifacts import write_json

KEPT_ELSEWHERE = (".dvc/cache/", ".dvc/tmp/", "mlruns/", ".ruff_cache/")
TIME = re.compile(r"\d{8}T\d{6}\.\d{6}Z")  # Data Docs are in a folder that is named by the time
EPOCH = re.compile(r"^epoch \d+/\d+", re.MULTILINE)


def undisturbed() -> tuple[Workspace, dict[str, Any]]:
    """A workspace whose pipeline was run, and its `result`, with the seconds that the run took."""

    def make(folder: Path) -> None:
        workspace = copy_workspace(fresh(), folder, "made")
        began = time.monotonic()
        workspace.run("vaeline", "run")
        write_json(folder / "result.json", {"seconds": time.monotonic() - began, **result(workspace)})

    made = Workspace(made_once("undisturbed", make) / "made")
    return made, made.json("../result.json")


def fresh() -> Workspace:
    """A workspace in which nothing has run."""
    return Workspace(made_once("fresh", lambda folder: make_workspace(folder / "fresh")) / "fresh")


def result(workspace: Workspace) -> dict[str, Any]:
    """What a run leaves: DVC's record, the runs with their epochs, the versions, and the names of new files."""
    client = workspace.client()
    others = workspace.run("git", "ls-files", "--others").splitlines()
    return {
        "lock": (workspace.root / "dvc.lock").read_text(encoding="utf-8"),
        "runs": [
            {
                "status": run.info.status,
                "epochs": [metric.step for metric in client.get_metric_history(run.info.run_id, "train/loss")],
                "metrics": sorted(run.data.metrics.keys() - {"train/epoch_seconds"}),  # no file keeps this one
                "artifacts": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
            }
            for run in workspace.runs()
        ],
        "versions": [version.version for version in client.search_model_versions()],
        "files": [TIME.sub("", file) for file in others if not file.startswith(KEPT_ELSEWHERE)],
        "changed": workspace.run("git", "status", "--porcelain"),
    }


def assert_as_undisturbed(workspace: Workspace, *outputs: str) -> None:
    """The workspace has what an undisturbed run leaves, and no epoch ended twice in what was printed."""
    for name, found in result(workspace).items():
        expected = undisturbed()[1][name]
        assert found == expected, {*found} ^ {*expected} if name == "files" else name
    epochs = Counter(EPOCH.findall("".join(outputs)))
    assert max(epochs.values()) == 1, epochs


def moment(seed: int) -> float:
    """A time in an undisturbed run, in seconds; of fifty seeds, each has its fiftieth of the run."""
    seconds = undisturbed()[1]["seconds"]
    return seconds * ((seed * 31) % 50 + random.Random(seed).random()) / 50


def kill_all(workspace: Workspace, leader: Popen) -> str:
    """SIGKILL all processes that work in the workspace, as often as it takes; return what they have printed."""
    while found := working_in(workspace.root):
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        time.sleep(0.01)
    return leader.communicate()[0]


def working_in(root: Path) -> list[psutil.Process]:
    """The processes that run and whose folder is `root` or a folder in it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(root):
                found.append(process)
    return found
