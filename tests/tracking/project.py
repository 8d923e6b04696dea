"""A small git repository that looks like a trained project: its files, `dvc.lock` and DVC cache. Nothing trains."""

import hashlib
import io
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from ruamel.yaml import YAML
from stores import empty_store, forget_artifacts, move_artifacts

from vaeline.data.prepared import write_prepared
from vaeline.data.sources import TRAIN_IMAGES, TRAIN_LABELS
from vaeline.images.idx import write_idx, write_idx_images
from vaeline.tracking import trees
from vaeline.tracking.store import open_store
from vaeline.tracking.trees import disk_tree, dvc_md5

DATA = {"data": {"dataset": "digits", "anomalies": []}, "compute": {"threads": 2}}
MODEL = {"kind": "vae", "architecture": "mlp", "latent_dim": 2}
STAGES = {
    "fetch": (["pipeline/fetch.py"], ["data"], ["data/raw"]),
    "prepare": (["data/raw", "pipeline/prepare.py"], [], ["data/prepared"]),
    "validate": (["data/prepared", "pipeline/validate.py"], [], ["reports/validation.json"]),
    "train": (
        ["data/prepared", "reports/validation.json", "src/models", "pipeline/train.py"],
        ["compute", "model", "train"],
        ["models/vae.keras", "reports/history.csv"],
    ),
    "evaluate": (
        ["data/prepared", "models/vae.keras", "pipeline/evaluate.py"],
        ["evaluate"],
        ["reports/scores.parquet", "reports/metrics.json"],
    ),
    "plot": (["models/vae.keras", "pipeline/plot.py"], [], ["reports/figures"]),
}
RUN_FOLDERS = {"validate": "validation", "train": "model/artifacts", "evaluate": "evaluation", "plot": "figures"}
ROWS = {"train": [1, 2, 3], "validation": [0, 4, 6], "test": [5, 7, 8]}


@dataclass(frozen=True)
class Project:
    """The repository; each training is told by its seed, each evaluation by its loss."""

    root: Path

    def git(self, *arguments: str) -> str:
        """Run git as somebody, and return what it says."""
        who = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "init.defaultBranch=main")
        return subprocess.run(
            ["git", *who, *arguments], cwd=self.root, capture_output=True, text=True, check=True
        ).stdout.strip()

    def write(self, path: str, content: str | bytes) -> None:
        """Write a file, and the folders to it."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def make(self, seed: int = 1, loss: float = 100.0, code: str = "print(1)") -> None:
        """What a run leaves on disk, and in DVC's cache: every file, and `dvc.lock`."""
        params = {**DATA, "model": MODEL, "train": {"seed": seed}, "evaluate": {"seed": 1}}
        YAML().dump(params, self.root / "params.yaml")
        self.write("src/models/network.py", code)
        self.write("models/vae.keras", f"weights of {seed}")
        self.write("reports/history.csv", f"epoch,loss,val_loss\n1,{seed + 1},3\n2,{seed},2\n")
        scores = io.BytesIO()
        pd.DataFrame({"image": [0, 1, 2], "label": [7, 8, 9], "neg_elbo": [loss, loss + 1, loss + 2]}).to_parquet(
            scores
        )
        self.write("reports/scores.parquet", scores.getvalue())
        metrics = {"test": {"neg_elbo": loss}, "per_class": {"7": {"neg_elbo": loss}}, "protocol": {}}
        self.write("reports/metrics.json", json.dumps(metrics))
        self.write("reports/figures/loss.png", f"picture of {seed}")
        self.lock(params)

    def lock(self, params: dict[str, Any]) -> None:
        """Write `dvc.lock` for the files on disk, and put what stages made into the cache."""
        stages = {}
        for name, (deps, asked, outs) in STAGES.items():
            entry: dict[str, Any] = {"cmd": f"python pipeline/{name}.py", "deps": self.entries(deps)}
            if asked:
                entry["params"] = {"params.yaml": {key: params[key] for key in asked}}
            if name == "fetch":
                entry["params"] = {"params.yaml": {"data.anomalies": [], "data.dataset": "digits"}}
            stages[name] = entry | {"outs": self.entries(outs)}
            for path in outs:
                self.keep(path)
        YAML().dump({"schema": "2.0", "stages": stages}, self.root / "dvc.lock")

    def entries(self, paths: list[str]) -> list[dict[str, str]]:
        """Paths as `dvc.lock` lists them."""
        return [{"path": path, "hash": "md5", "md5": dvc_md5(disk_tree(self.root / path))} for path in paths]

    def keep(self, path: str) -> None:
        """Put a file or folder into DVC's cache."""
        if path == "reports/metrics.json":
            return  # git has it
        tree = disk_tree(self.root / path)
        for name, file in tree.items():
            shutil.copyfile(file, self.cached(dvc_md5({"": file})))
            if name:
                listing = [{"md5": dvc_md5({"": tree[other]}), "relpath": other} for other in sorted(tree)]
                self.cached(dvc_md5(tree)).write_text(json.dumps(listing, sort_keys=True))

    def cached(self, md5: str) -> Path:
        """Where DVC's cache keeps what has this md5."""
        place = self.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def commit(self, message: str) -> str:
        """Commit all; the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def record(self, message: str, **made: Any) -> str:
        """`make` and `commit`."""
        self.make(**made)
        return self.commit(message)

    def forget(self) -> None:
        """Empty DVC's cache and remove what stages made, as in a fresh clone."""
        shutil.rmtree(self.root / ".dvc/cache")
        for path in ("data", "models", "reports"):
            shutil.rmtree(self.root / path)
        self.git("checkout", "--quiet", "--", "reports/metrics.json")

    def model_sha256(self, seed: int) -> str:
        """The SHA-256 of a training's model."""
        return hashlib.sha256(f"weights of {seed}".encode()).hexdigest()


@pytest.fixture
def project(processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An untrained project, which is the current folder and has a store of its own."""
    made = make_project(tmp_path / "project")
    shutil.copyfile(empty_store(), made.root / "mlflow.db")
    enter(made.root, monkeypatch)
    return made


@pytest.fixture
def client(project: Project) -> MlflowClient:
    """A client of the project's own, empty store."""
    return open_store()


def enter(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a project the current folder, and nothing else where a store or a repository is looked for."""
    monkeypatch.chdir(root)
    monkeypatch.setattr(trees, "_cache_directory", lambda root: root / ".dvc/cache")  # DVC takes its time to say so
    forget_artifacts(monkeypatch)
    for variable in ("DVC_ROOT", "DVC_EXP_NAME", "GIT_DIR", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)


def copy_with_store(source: Path, target: Path) -> Path:
    """A copy of a project whose store keeps its artifacts in the copy."""
    shutil.copytree(source, target, symlinks=True)
    move_artifacts(target / "mlflow.db", source, target)
    return target


def make_project(root: Path) -> Project:
    """A repository with code, data and one commit, in which nothing was trained yet."""
    project = Project(root)
    root.mkdir()
    project.git("init", "--quiet")
    for name in STAGES:
        project.write(f"pipeline/{name}.py", name)
    declared = {
        name: {"cmd": f"python pipeline/{name}.py", "deps": deps, "params": asked, "outs": outs}
        for name, (deps, asked, outs) in STAGES.items()
    }
    for name, folder in RUN_FOLDERS.items():
        declared[name]["meta"] = {"run_folder": folder}
    YAML().dump({"stages": declared}, root / "dvc.yaml")
    project.write(
        ".gitignore", ".dvc/cache\n.vaeline\nmlflow.db*\nmlruns\n/data\n/models\n/reports/*\n!reports/metrics.json\n"
    )
    project.write("requirements.lock", "keras==3\n")
    rng = np.random.default_rng(1)
    images, labels = rng.integers(0, 256, (9, 4, 4, 1), dtype="uint8"), np.arange(9, dtype="uint8")
    write_idx_images(root / "data/raw" / TRAIN_IMAGES, images)
    write_idx(root / "data/raw" / TRAIN_LABELS, labels)
    splits = {name: (images, labels, np.array(rows)) for name, rows in ROWS.items()}
    about = {"dataset": "digits", "name": "digits", "title": "Digits", "classes": list("abcdefghi")}
    write_prepared(root / "data/prepared", splits, about)
    validation = {"status": "passed", "profile": "digits", "expectations": 93, "failures": [], "rows": {"train": 3}}
    project.write("reports/validation.json", json.dumps(validation))
    project.write("src/models/network.py", "print(0)")
    project.commit("Start")
    return project
