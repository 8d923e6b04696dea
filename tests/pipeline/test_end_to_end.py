"""The pipeline as a user runs it: `dvc repro` on real data, small."""

import numpy as np
import pandas as pd
import pytest
from conftest import MIRROR, needs_mnist
from pipeline.workspace import Workspace, copy_workspace, make_workspace
from ruamel.yaml import YAML
from shared import made_once

from vaeline.params.base import flatten
from vaeline.tracking.sqlite import sqlite_uri

LARGE_DATA = {"train.epochs": 1, "train.batch_size": 500, "classify.epochs": 1, "classify.batch_size": 500}
NOTHING = "Data and pipelines are up to date."


def locked_params(workspace):
    stages = YAML(typ="safe").load((workspace.root / "dvc.lock").read_text())["stages"]
    found = {}
    for stage in stages.values():
        found |= flatten(stage.get("params", {}).get("params.yaml", {}))
    return found


def test_the_first_run_ends_with_a_table_and_the_way_on(finished):
    output = (finished.root / "first-run.log").read_text()
    for part in (
        "−ELBO",
        "reconstruction",
        "KL",
        "NLL",
        "nearest training images",
        "Fréchet distance",
        "mirrored images with AUROC",
        "compression: ",
        "vae-digits-candidates v1",
        "reports/figures",
        "make ui",
        "digits",
    ):
        assert part in output


def test_a_second_repro_runs_nothing_and_the_status_is_clean(finished):
    assert NOTHING in finished.repro()
    assert NOTHING in finished.run("dvc", "status")


def test_one_finished_run_holds_parameters_metrics_pictures_and_lineage(finished):
    (run,) = finished.runs()
    assert run.info.status == "FINISHED"
    assert run.data.params == {key: str(value) for key, value in locked_params(finished).items()}
    test = finished.json("reports/metrics.json")["test"]
    for name in ("neg_elbo", "reconstruction", "kl", "nll", "mse", "active_units"):
        assert run.data.metrics[f"test/{name}"] == test[name]
    metrics = finished.json("reports/metrics.json")
    assert run.data.metrics["test_class_7/neg_elbo"] == metrics["per_class"]["7"]["neg_elbo"]
    assert run.data.metrics["ood/hflip.neg_elbo.auroc"] == metrics["ood"]["hflip"]["neg_elbo"]["auroc"]
    groups = {name.split("/")[0] for name in run.data.metrics if not name.startswith("test_class_")}
    assert groups == {"train", "validation", *metrics} - {"per_class", "protocol"}
    client = finished.client()
    assert [m.step for m in client.get_metric_history(run.info.run_id, "train/neg_elbo")] == [1, 2]
    pictures = [item.path for item in client.list_artifacts(run.info.run_id, "figures")]
    assert len([path for path in pictures if path.endswith(".png")]) >= 8
    assert client.list_artifacts(run.info.run_id, "validation/docs")
    (dataset,) = run.inputs.dataset_inputs
    lock = YAML(typ="safe").load((finished.root / "dvc.lock").read_text())["stages"]
    assert dataset.dataset.digest == lock["prepare"]["outs"][0]["md5"]
    tags = run.data.tags
    assert tags["mlflow.source.git.commit"] == finished.run("git", "rev-parse", "HEAD").strip()
    assert tags["vaeline.git_dirty"] == "false"
    assert tags["vaeline.validation"] == "passed"
    assert tags["vaeline.deps.src/vaeline/models/kinds/vae"].endswith(".dir")
    assert len(tags["vaeline.dvc_lock_sha256"]) == len(tags["vaeline.environment_sha256"]) == 64


def test_one_version_is_registered_and_registering_again_makes_no_other(finished):
    finished.repro("--single-item", "--force", "register")
    (version,) = finished.client().search_model_versions()
    assert (version.name, int(version.version)) == ("vae-digits-candidates", 1)
    assert version.tags["vaeline.model_digest"] == finished.json("reports/registration.json")["model_sha256"]
    assert version.tags["vaeline.dataset"] == "digits"
    assert len(finished.runs()) == 1


def test_nothing_a_run_makes_can_be_committed_by_accident(finished):
    changed = finished.run("git", "status", "--porcelain").split()
    assert set(changed[1::2]) <= {"dvc.lock", "reports/", "first-run.log"}
    would_add = finished.run("git", "add", "--all", "--dry-run")
    for name in ("mlflow.db", "mlruns", ".vaeline", "models", "data/raw", "data/prepared", "scores.parquet"):
        assert name not in would_add


def test_metrics_scores_and_dvc_views(finished):
    metrics = finished.json("reports/metrics.json")
    test = metrics["test"]
    scores = pd.read_parquet(finished.root / "reports/scores.parquet")
    manifest = finished.json("data/prepared/manifest.json")
    assert len(scores) == manifest["splits"]["test"]["rows"] == test["images"]
    assert np.isclose(scores["neg_elbo"].mean(), test["neg_elbo"], atol=1e-4)
    assert scores["nll_bound"].notna().sum() == 40
    assert set(metrics["protocol"]) == set(metrics) - {"per_class", "protocol"}
    assert np.isclose(test["neg_elbo"], test["reconstruction"] + test["kl"], atol=1e-3)
    assert "neg_elbo" in finished.run("dvc", "metrics", "show")
    assert "model.latent_dim" in finished.run("dvc", "params", "diff", "--all", "--targets", "params.yaml")
    finished.run("dvc", "plots", "show", "--out", str(finished.root / "dvc_plots"))
    page = (finished.root / "dvc_plots" / "index.html").read_text()
    for part in ("Learning curves", "KL of the posterior", "by class", "manifold.png"):
        assert part in page


def test_training_again_gives_the_same_bytes_in_the_same_run(branch_off):
    lock = (branch_off.root / "dvc.lock").read_text()
    output = branch_off.repro("--force", "--single-item", "train")
    assert "epoch 2/2" in output
    assert (branch_off.root / "dvc.lock").read_text() == lock
    assert NOTHING in branch_off.repro()
    (run,) = branch_off.runs()
    assert run.info.status == "FINISHED"
    assert len(branch_off.client().get_metric_history(run.info.run_id, "train/loss")) == 2


def test_a_later_evaluation_adds_to_the_same_run(branch_off):
    before = branch_off.runs()[0]
    branch_off.change(evaluate__nll_samples=8, data__anomalies=["digits"])
    output = branch_off.repro("evaluate")
    branch_off.repro("--single-item", "register")
    for stage in ("prepare", "classify", "train"):
        assert f"Running stage '{stage}'" not in output
    alike = branch_off.json("reports/metrics.json")["ood"]["digits"]["neg_elbo"]
    assert abs(alike["auroc"] - 0.5) < 5 * alike["auroc_se"]
    (run,) = branch_off.runs()
    assert run.info.run_id == before.info.run_id
    assert run.data.metrics["test/nll_bound"] < before.data.metrics["test/nll_bound"]
    assert run.data.tags["vaeline.now.evaluate.nll_samples"] == "8"
    assert len(branch_off.client().search_model_versions()) == 1


@pytest.fixture
def experimented(finished, tmp_path):
    """A copy of the finished workspace in which an experiment has trained with another seed, beside what is on disk."""

    def make(folder):
        workspace = copy_workspace(finished, folder)
        workspace.run("git", "add", "--all")
        workspace.run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "Run")
        workspace.run("dvc", "exp", "run", "--temp", "--set-param", "train.seed=7", "--name", "seventh")

    return copy_workspace(Workspace(made_once("experimented", make) / "copy"), tmp_path)


def test_an_experiment_in_a_temporary_workspace_writes_to_the_same_store(experimented):
    assert len(experimented.runs()) == 2
    run = experimented.runs()[0]
    assert run.data.params["train.seed"] == "7"
    assert run.data.tags["vaeline.dvc_experiment"] == "seventh"
    assert ".dvc/tmp" not in run.info.artifact_uri
    assert experimented.client().list_artifacts(run.info.run_id, "figures")
    assert "neg_elbo" in experimented.run("dvc", "exp", "diff", "HEAD", "seventh")
    experimented.run("git", "worktree", "add", "-q", "../worktree")
    root = experimented.run(
        "python",
        "-c",
        "from vaeline.tracking.store import tracking_uri; print(tracking_uri())",
        cwd=experimented.root.parent / "worktree",
    )
    assert root.strip().endswith(sqlite_uri(experimented.root / "mlflow.db"))


def test_a_restored_stage_loses_no_run_and_doubles_none(experimented):
    runs = {run.info.run_id for run in experimented.runs()}
    experimented.change(train__seed=7)
    output = experimented.repro()
    assert "Stage 'train' is cached - skipping run" in output
    assert len(runs) == 2
    assert {run.info.run_id for run in experimented.runs()} == runs
    assert len(experimented.client().search_model_versions()) == 2
    (experimented.root / "reports/registration.json").unlink()
    empty = sqlite_uri(experimented.root / "empty.db")
    experimented.repro(MLFLOW_TRACKING_URI=empty)
    assert "is up to date" in experimented.run("vaeline", "track", "sync", MLFLOW_TRACKING_URI=empty)
    by_seed = {run.data.params["train.seed"]: run for run in experimented.runs(empty)}
    assert set(by_seed) == {"1", "7"}, "one is on disk, the other in the last commit"
    rebuilt = by_seed["7"]
    assert rebuilt.data.tags["vaeline.restored"] == "true"
    assert rebuilt.info.status == "FINISHED"
    assert rebuilt.data.metrics["test/neg_elbo"] == experimented.json("reports/metrics.json")["test"]["neg_elbo"]
    assert len(experimented.client(empty).get_metric_history(rebuilt.info.run_id, "train/kl")) == 2


def test_a_copy_without_git_runs_and_own_images_are_watched(tmp_path, digits):
    workspace = make_workspace(tmp_path / "zip", dataset="data/own/shapes.npz", git=False)
    own = workspace.root / "data/own/shapes.npz"
    np.savez(own, images=digits.images[:600], labels=digits.labels[:600])
    output = workspace.repro(check=False)
    assert "data/profiles/shapes.yaml: no such profile" in output
    assert "vaeline profile PATH --name shapes" in output
    assert workspace.json("reports/validation.json")["status"] == "error"
    workspace.run("vaeline", "profile", "data/prepared", "--name", "shapes")
    assert "vae-shapes-candidates v1" in workspace.repro()
    (run,) = workspace.runs()
    assert run.data.tags["vaeline.dataset"] == "data/own/shapes.npz"
    assert "mlflow.source.git.commit" not in run.data.tags
    np.savez(own, images=digits.images[:599], labels=digits.labels[:599])
    output = workspace.repro("validate", check=False)
    assert "Running stage 'fetch'" in output
    assert "FAILED rows in" in output


@needs_mnist
def test_real_mnist_through_the_mirror_setting(tmp_path):
    workspace = make_workspace(tmp_path / "mnist", dataset="mnist", **LARGE_DATA)
    output = workspace.repro(VAELINE_MIRROR=str(MIRROR))
    assert "55,000 train, 5,000 validation, 10,000 test" in output
    assert "vae-mnist-candidates v1" in output
    assert workspace.json("reports/metrics.json")["test"]["images"] == 10_000
    assert workspace.json("reports/metrics.json")["test"]["neg_elbo"] < 210
    assert NOTHING in workspace.repro()

    raw = workspace.root / "data/raw/train-images-idx3-ubyte"
    content = bytearray(raw.read_bytes())
    pixels = np.frombuffer(content, "uint8", offset=16).reshape(-1, 784)
    pixels[::100] = ~pixels[::100]
    raw.unlink()
    raw.write_bytes(content)
    output = workspace.repro("--downstream", "prepare", check=False)
    assert "FAILED border of every image: 600 of 70000 images" in output
    assert "Running stage 'train'" not in output
    assert (workspace.root / "reports/validation/contact_sheet.png").is_file()
    assert workspace.json("reports/validation.json")["status"] == "failed"
    assert "fails" in workspace.run("vaeline", "validate", "data/raw", "--profile", "mnist", check=False)
    assert "meets 118" in workspace.run("vaeline", "validate", str(MIRROR), "--profile", "mnist")
