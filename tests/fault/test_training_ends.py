"""However a training ends, its run says so, nothing is lost, and the next one goes on."""

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from pipeline.workspace import Workspace, copy_workspace, make_workspace
from shared import made_once
from stores import empty_store

LONG = {"train.epochs": 2000, "train.patience": 2000}
TRAIN = ("env", "PYTHONPATH=src", "python", "pipeline/train.py")


@pytest.fixture(scope="module")
def validated() -> Workspace:
    """A workspace that is ready to train for long, to copy."""

    def make(folder):
        workspace = make_workspace(folder / "ready", **LONG)
        workspace.repro("validate")
        shutil.copy(empty_store(), workspace.root)

    return Workspace(made_once("validated", make) / "ready")


@pytest.fixture
def workspace(validated, tmp_path) -> Workspace:
    """A copy whose commands are processes of their own, to be killed."""
    return replace(copy_workspace(validated, tmp_path), forked=False)


@pytest.fixture
def forked_workspace(validated, tmp_path) -> Workspace:
    return copy_workspace(validated, tmp_path)


@pytest.fixture
def start(workspace):
    """Starts a command that does not outlive its test, in a process of its own or as a fork."""
    processes = []

    def begin(*command, forked=False):
        processes.append(replace(workspace, forked=forked).start(*command))
        return processes[-1]

    yield begin
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def wait_for_epochs(process, count):
    """Read the output until `count` more epochs are done; return what was read."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if sum(earlier.startswith("epoch ") for earlier in lines) == count:
            return "".join(lines)
    raise AssertionError("".join(lines))


def forget_last_epoch(workspace, run):
    """Leave the run as a process does that ends between its checkpoint and its log."""
    with closing(sqlite3.connect(workspace.root / "mlflow.db")) as store, store:
        store.execute(
            "DELETE FROM metrics WHERE run_uuid = ? AND step = (SELECT MAX(step) FROM metrics WHERE run_uuid = ?)",
            [run.info.run_id] * 2,
        )


def assert_every_epoch_once(workspace, run):
    steps = [metric.step for metric in workspace.client().get_metric_history(run.info.run_id, "train/loss")]
    assert steps == list(range(1, len(steps) + 1))


def test_ctrl_c_is_killed(workspace, start, interruptible):
    process = start("dvc", "repro", "train")
    wait_for_epochs(process, 1)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=600)
    assert process.returncode != 0
    assert "run the same command again to continue" in output
    (run,) = workspace.runs()
    assert (run.info.status, run.data.tags["vaeline.ended_by"]) == ("KILLED", "KeyboardInterrupt")


def test_sigterm_is_killed_a_twin_is_refused_and_the_next_training_goes_on_in_the_same_run(workspace, start):
    process = start(*TRAIN)
    wait_for_epochs(process, 2)
    assert "another training runs" in replace(workspace, forked=True).run(*TRAIN, check=False)
    assert workspace.runs()[0].info.status == "RUNNING"
    process.terminate()
    process.communicate(timeout=600)
    assert process.returncode == 143
    (run,) = workspace.runs()
    assert (run.info.status, run.data.tags["vaeline.ended_by"]) == ("KILLED", "Terminated")
    assert not (workspace.root / "models/vae.keras").exists()

    forget_last_epoch(workspace, run)
    process = start(*TRAIN, forked=True)
    assert "continues after epoch" in wait_for_epochs(process, 1)
    process.terminate()
    process.communicate(timeout=600)
    (same,) = workspace.runs()
    assert same.info.run_id == run.info.run_id
    assert_every_epoch_once(workspace, run)


def test_a_run_whose_process_was_shot_is_closed_by_the_next_training(workspace, start):
    process = start(*TRAIN)
    wait_for_epochs(process, 1)
    process.kill()
    process.communicate(timeout=600)
    assert workspace.runs()[0].info.status == "RUNNING"
    process = start(*TRAIN, forked=True)
    output = wait_for_epochs(process, 1)
    assert "has ended; its status is now KILLED" in output
    process.terminate()
    process.communicate(timeout=600)
    (run,) = workspace.runs()
    assert run.info.status == "KILLED"
    assert_every_epoch_once(workspace, run)


def test_a_broken_training_is_failed_and_leaves_no_model(forked_workspace):
    forked_workspace.change(train__learning_rate=1e30, train__learning_rate_warmup=0.0, train__epochs=3)
    output = forked_workspace.repro(check=False)
    assert "lower train.learning_rate" in output
    assert "Traceback" not in output
    assert "Running stage 'evaluate'" not in output
    (run,) = forked_workspace.runs()
    assert run.info.status == "FAILED"
    assert "loss" in run.data.tags["vaeline.ended_by"]
    assert not (forked_workspace.root / "models/vae.keras").exists()


def test_a_collapsed_posterior_is_failed(forked_workspace):
    forked_workspace.change(model__beta=500.0, train__epochs=2, train__min_kl=0.5)
    assert "the posterior has collapsed" in forked_workspace.repro("train", check=False)
    assert forked_workspace.runs()[0].info.status == "FAILED"


def test_a_store_that_is_down_loses_no_training_and_sync_fills_it_in(forked_workspace):
    forked_workspace.change(train__epochs=2)
    down = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    output = forked_workspace.repro("plot", **down)
    assert output.count("The training is not affected") == 1
    assert "cannot be used" in forked_workspace.repro(check=False, **down)
    assert (forked_workspace.root / "reports/figures/manifold.png").is_file()
    output = forked_workspace.repro()
    assert "Running stage 'train'" not in output
    (run,) = forked_workspace.runs()
    assert run.data.tags["vaeline.restored"] == "true"
    assert len(forked_workspace.client().get_metric_history(run.info.run_id, "train/kl")) == 2
    assert "test/nll" in run.data.metrics
