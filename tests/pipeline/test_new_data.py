"""New data, whole: a batch is taken in, joins prepared data, and a second clone has it from the remote."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from pipeline.workspace import Workspace, make_workspace
from shared import made_once
from typer.testing import CliRunner

from vaeline.artifacts import digest
from vaeline.cli import app

HELD_BACK = 300
AUTHOR = ("-c", "user.name=test", "-c", "user.email=test@example.org")


@pytest.fixture
def shop(tmp_path) -> Workspace:
    """A workspace with 300 digits held back, and a remote beside it; its prepared data is committed and pushed."""

    def make(folder: Path) -> None:
        workspace = make_workspace(folder / "shop/one", **{"data.hold_back": HELD_BACK})
        workspace.run("dvc", "remote", "modify", "local", "url", "../remote")
        output = workspace.repro("prepare")
        assert f"{1372 - HELD_BACK:,} train, 125 validation, 300 test" in output
        commit(workspace)
        workspace.run("dvc", "push")

    shutil.copytree(made_once("shop", make) / "shop", tmp_path / "shop", symlinks=True)
    return Workspace(tmp_path / "shop/one")


def commit(workspace: Workspace) -> None:
    workspace.run("git", "add", "--all")
    workspace.run("git", *AUTHOR, "commit", "--quiet", "--message", "Go on")


def clone(workspace: Workspace, name: str) -> Workspace:
    target = workspace.root.parent / name
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


def test_a_clean_batch_joins_a_poisoned_one_does_not_and_other_clones_get_the_rows_or_say_why_not(shop, monkeypatch):
    monkeypatch.chdir(shop.root)
    before = prepared_digests(shop)
    batch = ingest_two(shop)
    commit(shop)
    shop.run("dvc", "push")
    second = clone(shop, "second")
    prepare_from_the_remote(second, before, batch)
    shop.repro("prepare")
    assert digest(shop.root / "data/prepared") == digest(second.root / "data/prepared")
    assert "1 batches, 0 accepted, 0 quarantined" in vaeline("ingest")
    stop_without_the_batch(clone(shop, "lost"))


def prepared_digests(workspace: Workspace) -> dict[str, str]:
    """The digest of the images of each split."""
    names = ("train", "validation", "test")
    return {name: digest(workspace.root / f"data/prepared/{name}_images-00000.npy") for name in names}


def ingest_two(shop: Workspace) -> dict[str, object]:
    """Take in a clean batch and a poisoned one, and return what the report says of the accepted one."""
    vaeline("simulate", "clean", "--rows", "120", "--out", "data/incoming/clean.npz")
    vaeline("simulate", "poisoned", "--rows", "120", "--offset", "120", "--out", "data/incoming/poisoned")
    output = vaeline("ingest")
    assert "2 batches, 1 accepted, 1 quarantined" in output, output
    assert (shop.root / "data/quarantine/poisoned/contact_sheet.png").is_file()
    (batch,) = shop.json("reports/ingest.json")["accepted"]
    assert f"?? data/accepted/{batch['id']}.json" in shop.run("git", "status", "--short", "--untracked-files=all")
    return batch


def prepare_from_the_remote(second: Workspace, before: dict[str, str], batch: dict[str, object]) -> None:
    """A second clone prepares the data with the rows of the batch, which it gets from the remote."""
    file = second.root / f"data/batches/{batch['id']}.npz"
    assert not file.exists()
    second.run("dvc", "repro", "--pull", "--allow-missing", "validate")
    manifest = second.json("data/prepared/manifest.json")
    (joined,) = manifest["batches"]
    assert joined["id"] == batch["id"]
    assert joined["train"] + joined["validation"] == 120
    assert manifest["splits"]["train"]["rows"] == 1372 - HELD_BACK + joined["train"]
    after = prepared_digests(second)
    assert {name for name in before if before[name] != after[name]} == {"train", "validation"}
    train = np.load(second.root / "data/prepared/train_images-00000.npy")
    rows = {image.tobytes() for image in np.load(file)["images"]}
    assert rows >= {image.tobytes() for image in train[-joined["train"] :]}


def stop_without_the_batch(lost: Workspace) -> None:
    """A clone whose remote does not have the accepted batch stops in one sentence."""
    lost.run("dvc", "remote", "modify", "--local", "local", "url", str(lost.root / "nowhere"))
    lost.change(data__validation_one_in=13)
    output = lost.repro("prepare", check=False)
    assert "accepted, but neither here nor in DVC's remote" in output
    assert "Traceback" not in output
