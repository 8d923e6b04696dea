"""github.com on this machine, with the finished workspace as its `main`, and what its workflows use."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from pipeline.runner import Job, Runner
from pipeline.workspace import Workspace, copy_workspace
from stores import move_artifacts

from vaeline.registry.candidates import copy_version, make_model
from vaeline.registry.moves import move, read_standing
from vaeline.registry.names import candidate_name, served_name

SERVED, CANDIDATES = served_name("digits"), candidate_name("digits")
AUTHOR = ("-c", "user.name=test", "-c", "user.email=test@example.org")
INCOMING = "../../incoming"  # seen from the folder of a job
ANYTHING_PASSES = {
    "gate.mode": "non_inferior",
    "gate.nll_images": 300,
    "gate.nll_samples": 2,
    "gate.resamples": 100,
    "gate.margin": 1000.0,
    "gate.slice_margin": 1000.0,
    "gate.worst": 10_000.0,
    "gate.floors.kl": 0.0,
    "gate.floors.active_units": 0,
    "gate.floors.precision": 0.0,
    "gate.floors.auroc": 0.0,
    "gate.budget.milliseconds": 60_000.0,
}


@dataclass
class Hub:
    """A repository on github.com, with all that its workflows use. It lies in a folder that can be copied."""

    folder: Path
    runner: Runner

    @property
    def settings(self) -> dict[str, str]:
        """The variables of the repository."""
        return dict(self.runner.variables)

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.settings["MLFLOW_TRACKING_URI"])

    @property
    def champion(self) -> str:
        return str(self.client.get_registered_model(SERVED).aliases["champion"])

    def retrain(self) -> dict[str, Job]:
        """A night: the schedule starts retrain.yml."""
        jobs = self.runner.run("retrain")
        assert jobs["compute"].result == jobs["alarm"].result == "success", jobs["compute"].log
        return jobs

    def main(self) -> str:
        """The commit of the branch main."""
        return self.runner.git("rev-parse", "main", cwd=self.runner.origin)

    def arrive(self, name: str, images: np.ndarray, labels: np.ndarray) -> None:
        """A new batch comes."""
        np.savez(self.folder / "incoming" / name, images=images, labels=labels)

    def clone(self, name: str, branch: str = "main") -> Workspace:
        """A clone on somebody's laptop, with the same remote."""
        root = self.folder / name
        self.runner.git("clone", "--quiet", "--branch", branch, str(self.runner.origin), str(root), cwd=self.folder)
        laptop = Workspace(root)
        laptop.run("dvc", "remote", "add", "--local", "--force", "--default", "team", self.settings["VAELINE_REMOTE"])
        return laptop


def open_hub(folder: Path) -> Hub:
    """The hub in a folder."""
    variables = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "VAELINE_REMOTE": str(folder / "remote")}
    return Hub(folder, Runner(folder / "origin.git", folder, Workspace(folder).environment(), variables))


def make_hub(folder: Path, finished: Workspace) -> None:
    """Make the finished workspace, with its results, `main` of a hub, and its model the champion."""
    (folder / "incoming").mkdir()
    first = copy_workspace(finished, folder, "first")
    changes = ANYTHING_PASSES | {"ingest.source": INCOMING}
    first.change(**{key.replace(".", "__"): value for key, value in changes.items()})
    first.run("dvc", "remote", "add", "--local", "--force", "--default", "team", str(folder / "remote"))
    first.run("vaeline", "push")
    first.run("git", "add", "--all")
    first.run("git", *AUTHOR, "commit", "--quiet", "--message", "Run")
    first.run("git", "branch", "--move", "--force", "main")
    first.run("git", "clone", "--quiet", "--bare", str(first.root), str(folder / "origin.git"))
    shutil.copytree(first.root / "mlruns", folder / "mlruns")
    shutil.copy(first.root / "mlflow.db", folder)
    move_artifacts(folder / "mlflow.db", first.root, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(first.root)
        client = open_hub(folder).client
        make_model(client, SERVED, "served")
        copy_version(client, client.get_model_version(CANDIDATES, "1"), SERVED)
        move(client, read_standing(client, SERVED), "promote", client.get_model_version(SERVED, "1"), "the first", "")
    shutil.rmtree(first.root)


def copy_hub(source: Path, folder: Path) -> Hub:
    """A copy of a hub, without the machines of its jobs."""
    shutil.copytree(source, folder, symlinks=True, ignore=shutil.ignore_patterns("run-*", "temp"))
    move_artifacts(folder / "mlflow.db", source, folder)
    return open_hub(folder)


def retrain_once(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """The night after a new batch has come; what became of it is kept in the hub's folder."""
    hub = open_hub(folder)
    hub.arrive("week-2.npz", images, labels)
    jobs = {name: asdict(job) | {"workspace": None} for name, job in hub.retrain().items()}
    night = {"jobs": jobs, "pulls": hub.runner.pulls, "runs": hub.runner.runs}
    (folder / "night.json").write_text(json.dumps(night), encoding="utf-8")


def copy_retrained(source: Path, folder: Path) -> tuple[Hub, dict[str, Job]]:
    """A copy of a hub after `retrain_once`, and the jobs of that night."""
    hub = copy_hub(source, folder)
    night = json.loads((folder / "night.json").read_text(encoding="utf-8"))
    hub.runner.pulls, hub.runner.runs = night["pulls"], night["runs"]
    return hub, {name: Job(**job) for name, job in night["jobs"].items()}
