import platform
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from stores import empty_store

from vaeline.tracking.runs import (
    close_stale_runs,
    epoch_metric,
    find_run,
    log_dataset,
    log_files,
    log_history,
    log_metrics,
    log_params,
    own_process_tags,
    set_tags,
)
from vaeline.tracking.sync import grouped_metrics


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return MlflowClient(f"sqlite:///{shutil.copy(empty_store(), tmp_path_factory.mktemp('store'))}")


@pytest.fixture
def experiment(client, request, tmp_path):
    return client.create_experiment(request.node.name, tmp_path.as_uri())


@pytest.fixture
def run(client, experiment):
    return client.create_run(experiment)


def test_a_run_is_found_by_all_its_tags_and_finished_ones_come_first(client, experiment):
    runs = [client.create_run(experiment) for _ in range(3)]
    for index, run in enumerate(runs):
        set_tags(client, run.info.run_id, {"a": "1", "b": str(index)})
    client.set_terminated(runs[1].info.run_id, "FINISHED")
    assert find_run(client, experiment, {"a": "1"}).info.run_id == runs[1].info.run_id
    assert find_run(client, experiment, {"a": "1", "b": "2"}).info.run_id == runs[2].info.run_id
    assert find_run(client, experiment, {"a": "1", "b": "9"}) is None


def test_parameters_are_written_once_and_a_later_value_becomes_a_tag(client, run):
    log_params(client, run, {"x": 1, **{f"p{index}": index for index in range(150)}})
    log_params(client, client.get_run(run.info.run_id), {"x": 2, "y": True})
    data = client.get_run(run.info.run_id).data
    assert (data.params["x"], data.params["y"], len(data.params)) == ("1", "True", 152)
    assert data.tags["vaeline.now.x"] == "2"


def test_files_replace_earlier_ones_in_one_step(client, run, tmp_path):
    folder = tmp_path / "written"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("first")
    (folder / "deep/b.txt").write_text("first")
    log_files(client, run.info.run_id, folder, "kept")
    stored = Path(run.info.artifact_uri.removeprefix("file://")) / "kept/deep/b.txt"
    before = stored.stat().st_ino
    (folder / "deep/b.txt").write_text("second")
    log_files(client, run.info.run_id, folder, "kept")
    assert stored.stat().st_ino != before, "to overwrite a file of another user fails"
    log_files(client, run.info.run_id, folder / "a.txt", "kept/deep")
    got = Path(client.download_artifacts(run.info.run_id, "kept", str(tmp_path)))
    assert {file.relative_to(got).as_posix(): file.read_text() for file in got.rglob("*.txt")} == {
        "a.txt": "first",
        "deep/a.txt": "first",
        "deep/b.txt": "second",
    }


def test_final_metrics_are_logged_once_and_again_only_when_they_change(client, run):
    for value in (1.0, 1.0, 2.0):
        log_metrics(client, client.get_run(run.info.run_id), {"test/nll": value})
    assert [metric.value for metric in client.get_metric_history(run.info.run_id, "test/nll")] == [1.0, 2.0]


def test_an_epoch_is_logged_once(client, run):
    history = [{"epoch": epoch, "loss": 1.0 / epoch, "val_loss": 2.0} for epoch in (1, 2, 3)]
    log_history(client, run.info.run_id, history[:2])
    log_history(client, run.info.run_id, history)
    assert [m.step for m in client.get_metric_history(run.info.run_id, "train/loss")] == [1, 2, 3]


def test_the_data_set_is_named_once_with_its_own_digest(client, run):
    for _ in range(2):
        log_dataset(client, client.get_run(run.info.run_id), "mnist", "0" * 32 + ".dir", {"train": 3})
    (found,) = client.get_run(run.info.run_id).inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.digest) == ("mnist", "0" * 32 + ".dir")


def test_only_runs_without_a_process_are_closed(client, experiment):
    alive, dead, elsewhere = (client.create_run(experiment).info.run_id for _ in range(3))
    set_tags(client, alive, own_process_tags())
    set_tags(client, dead, own_process_tags() | {"vaeline.pid_started": "1.0"})
    set_tags(client, elsewhere, {"vaeline.host": f"not-{platform.node()}", "vaeline.pid": "1"})
    assert len(close_stale_runs(client, experiment)) == 1
    status = {run_id: client.get_run(run_id).info.status for run_id in (alive, dead, elsewhere)}
    assert status == {alive: "RUNNING", dead: "KILLED", elsewhere: "RUNNING"}


def test_metrics_are_grouped():
    assert epoch_metric("val_kl") == "validation/kl"
    assert epoch_metric("kl") == "train/kl"
    content = {
        "test": {"nll": 1, "nll_se": 0.1},
        "ood": {"hflip": {"kl": {"auroc": 0.5, "auroc_se": 0.1}}},
        "per_class": {"7": {"nll": 2, "nll_se": 0.1}, "é/ü": {"nll": 3}},
        "protocol": {"test": {"unit": "nats per image"}},
    }
    assert grouped_metrics(content) == {
        "test/nll": 1.0,
        "test/nll_se": 0.1,
        "ood/hflip.kl.auroc": 0.5,
        "test_class_7/nll": 2.0,
        "test_class____/nll": 3.0,
    }
