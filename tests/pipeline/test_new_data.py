"""New data, whole: a batch is taken in, joins prepared data, and a second clone has it from the remote."""

import shutil

import numpy as np
import pytest
from pipeline.workspace import Workspace, make_workspace

from vaeline.artifacts import digest

VAELINE = ("python", "-m", "vaeline.cli")
HELD_BACK = 300


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Workspace:
    """A workspace with 300 digits held back and a remote; its prepared data is committed and pushed."""
    root = tmp_path_factory.mktemp("shop")
    workspace = make_workspace(root / "one", **{"data.hold_back": HELD_BACK})
    workspace.run("dvc", "remote", "modify", "local", "url", str(root / "remote"))
    output = workspace.repro("validate")
    assert "972 train" not in output
    assert f"{1372 - HELD_BACK:,} train, 125 validation, 300 test" in output
    commit(workspace)
    workspace.run("dvc", "push", "--quiet", "prepare")
    return workspace


def commit(workspace: Workspace) -> None:
    workspace.run("git", "add", "--all")
    workspace.run(
        "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "--message", "Go on"
    )


def clone(workspace: Workspace, name: str) -> Workspace:
    target = workspace.root.parent / name
    shutil.rmtree(target, ignore_errors=True)
    workspace.run("git", "clone", "--quiet", str(workspace.root), str(target))
    return Workspace(target)


def simulate(workspace: Workspace, kind: str, *options: str) -> None:
    source = {"PYTHONPATH": str(workspace.root / "src")}
    workspace.run(*VAELINE, "simulate", kind, "--rows", "120", *options, **source)


def test_a_clean_batch_joins_a_poisoned_one_does_not_and_a_second_clone_has_both_facts(shop):
    source = {"PYTHONPATH": str(shop.root / "src")}
    fresh = clone(shop, "fresh")
    shutil.move(shop.root.parent / "remote", shop.root.parent / "away")
    fresh.run("dvc", "repro", "prepare")
    assert fresh.run("git", "status", "--short") == "", "no batch and no remote: as it was"
    shutil.move(shop.root.parent / "away", shop.root.parent / "remote")
    before = {name: digest(shop.root / f"data/prepared/{name}_images.npy") for name in ("train", "validation", "test")}
    simulate(shop, "clean", "--out", "data/incoming/clean.npz")
    simulate(shop, "poisoned", "--offset", "120", "--out", "data/incoming/poisoned")
    output = shop.run(*VAELINE, "ingest", **source)
    assert "2 batches, 1 accepted, 1 quarantined" in output, output
    assert (shop.root / "data/quarantine/poisoned/contact_sheet.png").is_file()
    (batch,) = shop.json("reports/ingest.json")["accepted"]
    assert f"?? data/accepted/{batch['id']}.json" in shop.run("git", "status", "--short", "--untracked-files=all")

    commit(shop)
    shop.run("dvc", "push", "--quiet", f"data/batches/{batch['id']}.npz")
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
    assert "1 batches, 0 accepted, 0 quarantined" in shop.run(*VAELINE, "ingest", **source)


def test_a_batch_that_neither_the_clone_nor_the_remote_has_stops_prepare_in_one_sentence(shop):
    lost = clone(shop, "lost")
    assert list((lost.root / "data/accepted").glob("*.json")), "runs after the test above"
    lost.run("dvc", "remote", "modify", "--local", "local", "url", str(lost.root / "nowhere"))
    lost.change(data__validation_one_in=13)
    output = lost.repro("prepare", check=False)
    assert "accepted, but neither here nor in DVC's remote" in output
    assert "Traceback" not in output
