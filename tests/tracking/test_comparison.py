import itertools
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from stores import empty_store

from vaeline.errors import VaelineError
from vaeline.tracking.comparison import attach_comparison, comparison_page, read_evaluations, resolve_run
from vaeline.tracking.runs import log_dataset
from vaeline.tracking.store import SETTINGS

COUNT = 6
SPLITS = {"test": {"images_sha256": "a", "labels_sha256": "b"}}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    uri = f"sqlite:///{shutil.copy(empty_store(), tmp_path_factory.mktemp('store'))}"
    MlflowClient(uri).create_experiment("vae-mnist", (tmp_path_factory.mktemp("artifacts")).as_uri())
    return uri


@pytest.fixture
def client(store, monkeypatch):
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    return MlflowClient(store)


@pytest.fixture
def make_run(client, tmp_path):
    """Make a run with an evaluation, each a second younger than the one before."""
    seconds = itertools.count(1)

    def make(name, status="FINISHED", metrics=None, scores=b"", **columns):
        run = client.create_run("1", start_time=1000 * next(seconds), run_name=name)
        table = {"image": np.arange(COUNT), "label": np.arange(COUNT) % 2, "neg_elbo": np.ones(COUNT)}
        (tmp_path / "scores.parquet").write_bytes(scores or pd.DataFrame(table | columns).to_parquet())
        (tmp_path / "metrics.json").write_text(json.dumps({"protocol": {"elbo": {}}} if metrics is None else metrics))
        (tmp_path / "per_class.csv").write_text("class,neg_elbo\n01,1\nq,1\n")
        for file in ("scores.parquet", "metrics.json", "per_class.csv"):
            client.log_artifact(run.info.run_id, str(tmp_path / file), "evaluation")
        log_dataset(client, run, "mnist", "0" * 32, SPLITS)
        client.set_tag(run.info.run_id, "vaeline.dataset", "mnist")
        client.set_terminated(run.info.run_id, status)
        return client.get_run(run.info.run_id)

    return make


def test_a_run_is_found_by_its_name_its_id_and_the_beginning_of_its_id(client, make_run):
    run, other = make_run('it\'s a "run"'), make_run("it_s a _run_")
    for text in (run.info.run_name, run.info.run_id, run.info.run_id[:8]):
        assert resolve_run(client, text)[0].info.run_id == run.info.run_id
    assert resolve_run(client, "it_s a _run_")[0].info.run_id == other.info.run_id


def test_of_several_finished_runs_the_newest_is_taken_and_said(client, make_run):
    make_run("same")
    newest = make_run("same")
    make_run("same", status="KILLED")
    run, choice = resolve_run(client, "same")
    assert run.info.run_id == newest.info.run_id
    assert choice == f"2 finished runs are named same; this is the newest, {newest.info.run_id}"
    assert resolve_run(client, newest.info.run_id)[1] == ""


def test_what_fits_no_run_or_several_is_one_sentence(client, make_run, monkeypatch):
    make_run("stopped", status="KILLED")
    make_run("good")
    with pytest.raises(VaelineError, match=r"no run 'goo%' in sqlite.*; the newest finished runs are: .*good"):
        resolve_run(client, "goo%")
    with pytest.raises(VaelineError, match="the run stopped is KILLED"):
        resolve_run(client, "stopped")
    for digit in "12":
        with monkeypatch.context() as patched:
            patched.setattr("uuid.uuid4", lambda digit=digit: SimpleNamespace(hex=f"abcdef{digit}" + "0" * 25))
            client.create_run("1", run_name=f"run {digit}")
    with pytest.raises(VaelineError, match=r"2 runs .* begins with 'abcdef': abcdef20+ \(run 2\), abcdef1"):
        resolve_run(client, "abcdef")


def test_an_evaluation_is_read_with_its_classes_protocol_and_test_data(client, make_run):
    (found,) = read_evaluations(client, [make_run("one", nll=np.arange(COUNT, dtype="float32"))])
    assert (found.name, found.dataset, found.protocol) == ("one", "mnist", {"elbo": {}})
    assert found.classes == {0: "01", 1: "q"}
    assert found.test_data == SPLITS["test"]
    assert found.scores["nll"].sum() == 15


def test_runs_of_one_name_are_told_apart_and_one_run_is_not_compared_with_itself(client, make_run):
    runs = [make_run("same"), make_run("same")]
    names = [each.name for each in read_evaluations(client, runs)]
    assert names == [f"same {run.info.run_id[:8]}" for run in runs]
    with pytest.raises(VaelineError, match="given 2 times"):
        read_evaluations(client, [runs[0], runs[0]])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ({"metrics": {"test": {}}}, "the evaluation of the run odd has no protocol; evaluate it again"),
        ({"scores": b"PAR1 cut off"}, "the evaluation of the run odd cannot be read"),
    ],
)
def test_an_evaluation_that_does_not_say_enough_is_refused(client, make_run, damage, sentence):
    with pytest.raises(VaelineError, match=sentence):
        read_evaluations(client, [make_run("odd", **damage)])


def test_a_run_without_an_evaluation_or_data_is_refused(client, make_run):
    run = make_run("good")
    bare = client.create_run(run.info.experiment_id, run_name="bare")
    with pytest.raises(
        VaelineError, match=r"bare has no artifact evaluation/scores.parquet and no evaluation/metrics.json"
    ):
        read_evaluations(client, [bare])


def test_the_newest_run_keeps_the_files_and_a_second_time_changes_nothing(client, make_run, tmp_path):
    old, newest, baseline = make_run("old"), make_run("newest"), make_run("base/line")
    file = tmp_path / "comparison.csv"
    for text in ("a", "b"):
        file.write_text(text)
        kept, folder = attach_comparison(client, [old, newest], [file])
    assert (kept.info.run_id, folder) == (newest.info.run_id, "comparison/old")
    assert [item.path for item in client.list_artifacts(newest.info.run_id, folder)] == [
        "comparison/old/comparison.csv"
    ]
    assert client.list_artifacts(old.info.run_id, "comparison") == []
    stored = client.download_artifacts(newest.info.run_id, "comparison/old/comparison.csv", str(tmp_path))
    assert Path(stored).read_text() == "b"
    assert attach_comparison(client, [baseline, old], [file])[1] == "comparison/base_line"


def test_mlflows_own_comparison_is_addressed(make_run):
    runs = [make_run("a"), make_run("b")]
    ids = "%2C".join(f"%22{run.info.run_id}%22" for run in runs)
    address = comparison_page(runs, "http://host:1")
    assert address.startswith(f"http://host:1/#/compare-runs?runs=%5B{ids}%5D&experiments=%5B%221%22%5D&")
