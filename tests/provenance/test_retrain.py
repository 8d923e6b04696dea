"""Training again: where from, in a folder that is gone afterwards whatever happens, and what counts as the same."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from vaeline.data.accepted import BATCHES
from vaeline.provenance.evidence import KeptLock, lock_of
from vaeline.provenance.retrain import _prepare as prepare_checkout
from vaeline.tracking.history import recorded_locks


@pytest.fixture
def run(two_models):
    return two_models[2]


@pytest.fixture
def lock(client, run) -> KeptLock:
    return lock_of(client, run, recorded_locks()[0])


def change_stage(project, stage: str, command: str) -> str:
    """Give a stage another command; the commit that has it."""
    yaml = YAML()
    content = yaml.load(project.root / "dvc.yaml")
    content["stages"][stage]["cmd"] = command
    yaml.dump(content, project.root / "dvc.yaml")
    project.git("add", "dvc.yaml")
    project.git("commit", "--quiet", "--message", f"{stage}: {command}")
    return project.git("rev-parse", "HEAD")


def use_dvc(project, **commands: str) -> str:
    """Make a DVC project of it, in which a stage copies what it makes from a folder in git."""
    (project.root / ".dvc").mkdir(exist_ok=True)
    project.write(".dvc/config", "[core]\n    analytics = false\n")
    project.git("add", "--force", ".dvc/config")
    for path in ("data/raw", "data/prepared", "reports", "models"):
        subprocess.run(["cp", "-r", "--parents", path, "made"], cwd=project.root, check=True)
    project.git("add", "made")
    for stage, outs in {
        "prepare": "data/prepared",
        "validate": "reports/validation.json",
        "train": "models/vae.keras reports/history.csv",
        "evaluate": "reports/scores.parquet reports/metrics.json",
    }.items():
        change_stage(project, stage, commands.get(stage, f"cd made && cp -r --parents {outs} .."))
    return project.git("rev-parse", "HEAD")


def remains(project) -> list[str]:
    """Worktrees and folders that a retraining left."""
    worktrees = project.git("worktree", "list", "--porcelain").count("worktree ") - 1
    return [*map(str, Path(os.environ["TMPDIR"]).glob("vaeline-retrain-*")), *["worktree"] * worktrees]


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)


def test_a_checkout_gets_the_accepted_batches_that_are_at_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    BATCHES.mkdir(parents=True)
    checkout = tmp_path / "scratch/checkout"
    for folder in (checkout / BATCHES, checkout / ".dvc"):
        folder.mkdir(parents=True)
    (checkout / "dvc.yaml").write_text("stages: {}\n")
    for batch, content in {"20260101-a": b"rows", "20260102-b": b"other rows than in the checkout"}.items():
        (BATCHES / f"{batch}.npz").write_bytes(content)
        pointer = f"outs:\n- md5: {hashlib.md5(b'rows').hexdigest()}\n  path: {batch}.npz\n"
        (checkout / BATCHES / f"{batch}.npz.dvc").write_text(pointer)
    prepare_checkout(checkout, {})
    assert (checkout / BATCHES / "20260101-a.npz").read_bytes() == b"rows"
    assert not (checkout / BATCHES / "20260102-b.npz").exists()
