"""New data, whole: a batch is taken in, joins prepared data, and a second clone has it from the remote."""

import shutil

import numpy as np
import pytest
from pipeline.workspace import Workspace, make_workspace
from typer.testing import CliRunner

from vaeline.artifacts import digest
from vaeline.cli import app

HELD_BACK = 300
AUTHOR = ("-c", "user.name=test", "-c", "user.email=test@example.org")


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Workspace:
    """A workspace with 300 digits held back and a remote; its prepared data is committed and pushed."""
    root = tmp_path_factory.mktemp("shop")
    workspace = make_workspace(root / "one", **{"data.hold_back": HELD_BACK})
    workspace.run("dvc", "remote", "modify", "local", "url", str(root / "remote"))
    output = workspace.repro("prepare")
    assert f"{1372 - HELD_BACK:,} train, 125 validation, 300 test" in output
    commit(workspace)
    workspace.run("dvc", "push")
    return workspace


def commit(workspace: Workspace) -> None:
    workspace.run("git", "add", "--all")
    workspace.run("git", *AUTHOR, "commit", "--quiet", "--message", "Go on")


def clone(workspace: Workspace, name: str) -> Workspace:
    target = workspace.root.parent / name
    shutil.rmtree(target, ignore_errors=True)
    workspace.run("git", "clone", "--quiet", str(workspace.root), str(target))
    return Workspace(target)


def vaeline(*arguments: str) -> str:
    """Run a command of vaeline in this folder, and return its output."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_fresh_clone_without_batches_needs_no_remote(shop):
    fresh = clone(shop, "fresh")
    fresh.run("dvc", "remote", "modify", "--local", "local", "url", str(fresh.root / "nowhere"))
    fresh.repro("prepare")
    assert fresh.run("git", "status", "--short") == ""


def test_a_clean_batch_joins_a_poisoned_one_does_not_and_a_second_clone_gets_the_rows(shop, monkeypatch):
    monkeypatch.chdir(shop.root)
    before = {name: digest(shop.root / f"data/prepared/{name}_images.npy") for name in ("train", "validation", "test")}
    vaeline("simulate", "clean", "--rows", "120", "--out", "data/incoming/clean.npz")
    vaeline("simulate", "poisoned", "--rows", "120", "--offset", "120", "--out", "data/incoming/poisoned")
    output = vaeline("ingest")
    assert "2 batches, 1 accepted, 1 quarantined" in output, output
    assert (shop.root / "data/quarantine/poisoned/contact_sheet.png").is_file()
    (batch,) = shop.json("reports/ingest.json")["accepted"]
    assert f"?? data/accepted/{batch['id']}.json" in shop.run("git", "status", "--short", "--untracked-files=all")

    commit(shop)
    shop.run("dvc", "push")
    second = clone(shop, "second")
    assert not (second.root / f"data/batches/{batch['id']}.npz").exists()
    second.run("dvc", "repro", "--pull", "--allow-missing", "validate")
    manifest = second.json("data/prepared/manifest.json")
    (joined,) = manifest["batches"]
    assert joined["id"] == batch["id"]
    assert joined["train"] + joined["validation"] == 120
    assert manifest["splits"]["train"]["rows"] == 1372 - HELD_BACK + joined["train"]
    after = {name: digest(second.root / f"data/prepared/{name}_images.npy") for name in before}
    assert {name for name in before if before[name] != after[name]} == {"train", "validation"}
    rows = np.load(second.root / f"data/batches/{batch['id']}.npz")
    train = np.load(second.root / "data/prepared/train_images.npy")
    assert {image.tobytes() for image in rows["images"]} >= {image.tobytes() for image in train[-joined["train"] :]}

    shop.repro("prepare")
    assert digest(shop.root / "data/prepared") == digest(second.root / "data/prepared")
    assert "1 batches, 0 accepted, 0 quarantined" in vaeline("ingest")


def test_a_batch_that_neither_the_clone_nor_the_remote_has_stops_prepare_in_one_sentence(shop):
    lost = clone(shop, "lost")
    assert list((lost.root / "data/accepted").glob("*.json")), "runs after the test above"
    lost.run("dvc", "remote", "modify", "--local", "local", "url", str(lost.root / "nowhere"))
    lost.change(data__validation_one_in=13)
    output = lost.repro("prepare", check=False)
    assert "accepted, but neither here nor in DVC's remote" in output
    assert "Traceback" not in output
