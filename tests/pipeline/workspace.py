"""A temporary copy of this repository in which a small pipeline runs for real."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from conftest import ROOT
from forking.programs import forked_programs
from mlflow import MlflowClient
from mlflow.entities import Run
from stores import move_artifacts

from vaeline.params.whole import change_params
from vaeline.tracking.sqlite import sqlite_uri

# The 1,372 digits for training make whole batches: a last one that is smaller would trace the networks again.
SMALL = {
    "model.width": 32,
    "model.depth": 1,
    "train.epochs": 2,
    "train.batch_size": 14,
    "train.learning_rate": 0.003,
    "train.jit_compile": False,
    "train.min_kl": 0.0,
    "classify.epochs": 2,
    "classify.batch_size": 98,
    "classify.width": 4,
    "classify.min_accuracy": 0.0,
    "evaluate.nll_images": 40,
    "evaluate.nll_samples": 4,
    "evaluate.samples": 100,
    "evaluate.reference_images": 300,
    "evaluate.restoration_images": 4,
    "evaluate.grid_points": 32,
    "plot.manifold_size": 6,
    "plot.columns": 3,
    "plot.steps": 3,
    "gate.measured_on": "digits",
    "monitor.measured_on": "digits",
}
NOT_COPIED = {
    Path(): {".git", ".venv", ".vaeline", "mlruns", "models", "reports", "validation-report"},
    Path("data"): {"raw", "prepared", "anomalies", "statistics.parquet", "batches", "quarantine"},
    Path(".dvc"): {"cache", "tmp", "config.local"},
}


@dataclass(frozen=True)
class Workspace:
    """A copy of the repository; commands run in it as a user would run them.

    With `forked`, `python`, `dvc` and `vaeline` are forks of a process that has imported the libraries, and so are the
    servers that they start. Where the process itself is what a test is about, it is false.
    """

    root: Path
    forked: bool = True

    def run(self, *command: str, check: bool = True, cwd: Path | None = None, **environment: str) -> str:
        """Run a command of the environment and return its output; `check` demands exit status 0."""
        done = self.start(*command, cwd=cwd, **environment)
        output, _ = done.communicate(timeout=600)
        assert done.returncode == 0 or not check, output
        assert done.returncode != 0 or check, f"expected a failure:\n{output}"
        return output

    def start(self, *command: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen:
        """Start a command in a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=cwd or self.root,
            env=self.environment(**environment),
            text=True,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def environment(self, **more: str) -> dict[str, str]:
        """This process's environment without what would lead out of the workspace."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "DVC_", "GIT_"))}
        programs = forked_programs() if self.forked else Path(sys.executable).parent
        quiet = {"DVC_NO_ANALYTICS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "TF_CPP_MIN_LOG_LEVEL": "2"}
        return kept | quiet | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "VAELINE_MIRROR": ""} | more

    def repro(self, *arguments: str, check: bool = True, **environment: str) -> str:
        """`dvc repro`."""
        return self.run("dvc", "repro", *arguments, check=check, **environment)

    def change(self, **params: Any) -> None:
        """Change params.yaml; `model__beta=2.0` is `model.beta`."""
        change_params({key.replace("__", "."): value for key, value in params.items()}, self.root / "params.yaml")

    def share_cache(self, other: "Workspace") -> None:
        """Keep DVC's cache where another workspace has it: what the same inputs made there is not made again here."""
        self.run("dvc", "cache", "dir", "--local", str(other.root / ".dvc/cache"))

    def client(self, store: str = "") -> MlflowClient:
        """A client of the workspace's own store, or of another."""
        return MlflowClient(store or sqlite_uri(self.root / "mlflow.db"))

    def runs(self, store: str = "") -> list[Run]:
        """All runs, the newest first."""
        client = self.client(store)
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return client.search_runs(experiments, order_by=["attributes.start_time DESC"])

    def json(self, file: str) -> Any:
        """A JSON file of the workspace."""
        return json.loads((self.root / file).read_text(encoding="utf-8"))


def make_workspace(root: Path, dataset: str = "digits", git: bool = True, **params: Any) -> Workspace:
    """Copy the repository's own files to `root`, make the pipeline small, and commit it all."""
    shutil.copytree(ROOT, root, ignore=_ignored)
    workspace = Workspace(root)
    change_params({"data.dataset": dataset, **SMALL, **params}, root / "params.yaml")
    (root / "dvc.lock").unlink(missing_ok=True)
    if git:
        for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "Start"]):
            workspace.run("git", "-c", "user.name=test", "-c", "user.email=test@example.org", *arguments)
    else:
        workspace.run("dvc", "config", "--local", "core.no_scm", "true")
    return workspace


def copy_workspace(workspace: Workspace, folder: Path, name: str = "copy") -> Workspace:
    """A copy of a workspace in `folder`, with all that was made there: the store and its artifacts, too."""
    copy = replace(workspace, root=folder / name)
    workspace.run("cp", "-a", str(workspace.root), str(copy.root))
    if (copy.root / "mlflow.db").exists():
        move_artifacts(copy.root / "mlflow.db", workspace.root, copy.root)
    return copy


def _ignored(directory: str, names: list[str]) -> set[str]:
    here = NOT_COPIED.get(Path(directory).relative_to(ROOT), set())
    return {name for name in names if name in here | {"__pycache__"} or name.startswith("mlflow.db")}
