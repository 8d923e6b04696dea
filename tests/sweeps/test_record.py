"""A sweep in MLflow."""

import pytest

from vaeline.sweeps.record import STATE_TAG, SweepRun
from vaeline.sweeps.trials import FAILED, FINISHED, STOPPED, Trial
from vaeline.tracking.runs import search_all
from vaeline.tracking.store import SWEEPS, open_store

METRIC = "val_neg_elbo"


def history(*values):
    return [{"epoch": number, "val_loss": value, METRIC: value} for number, value in enumerate(values, 1)]


@pytest.fixture
def store(processes, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return open_store()


def runs(store):
    found = store.search_runs([store.get_experiment_by_name(SWEEPS).experiment_id])
    return {run.data.tags["vaeline.sweep_trial"]: run for run in found}


def test_a_trial_is_a_child_run_with_its_epochs_values_and_end(store, tmp_path):
    record = SweepRun("s-1", "digits", METRIC)
    trials = [
        Trial({"model.beta": 0.5}, 1, FINISHED, history(3.0, 2.0)),
        Trial({"model.beta": 2.0}, 2, STOPPED, history(4.0)),
        Trial({"model.beta": 9.0}, 3, FAILED, [], "the loss is nan"),
    ]
    for trial in trials:
        record.began(trial)
        record.ended(trial)
    (tmp_path / "sweep.png").write_bytes(b"picture")
    record.finish(trials[0], [tmp_path / "sweep.png"])
    found = runs(store)
    parent = found.pop("")
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {f"sweep/{METRIC}": 2.0}
    assert parent.data.tags["vaeline.best.model.beta"] == "0.5"
    assert [item.path for item in store.list_artifacts(parent.info.run_id)] == ["sweep.png"]
    assert {run.data.tags["mlflow.parentRunId"] for run in found.values()} == {parent.info.run_id}
    states = {trial.key: (trial.state, "FAILED" if trial.state == FAILED else "FINISHED") for trial in trials}
    assert {key: (run.data.tags[STATE_TAG], run.info.status) for key, run in found.items()} == states
    assert found[trials[0].key].data.params == {"model.beta": "0.5"}
    steps = store.get_metric_history(found[trials[0].key].info.run_id, "validation/neg_elbo")
    assert [(metric.step, metric.value) for metric in steps] == [(1, 3.0), (2, 2.0)]
    assert found[trials[2].key].data.tags["vaeline.ended_by"] == "the loss is nan"
    assert search_all(store, "") == []  # trials are no trainings of the pipeline


def test_a_sweep_that_goes_on_uses_the_runs_that_it_has(store):
    trial = Trial({"model.beta": 0.5}, 1, history=history(3.0))
    first = SweepRun("s-1", "digits", METRIC)
    first.began(trial)
    first.progressed(trial)
    second = SweepRun("s-1", "digits", METRIC)
    ended = Trial({"model.beta": 0.5}, 1, FINISHED, history(3.0, 2.0))
    second.restore(ended)
    second.restore(ended)
    found = runs(store)
    assert set(found) == {"", trial.key}
    assert found[trial.key].info.status == "FINISHED"
    assert found[trial.key].data.metrics["sweep/epochs"] == 2


def test_a_sweep_that_is_ended_leaves_no_run_open(store):
    record = SweepRun("s-1", "digits", METRIC)
    record.began(Trial({"model.beta": 0.5}, 1))
    record.killed()
    assert {run.info.status for run in runs(store).values()} == {"KILLED"}


def test_a_store_that_fails_does_not_stop_a_sweep(store, monkeypatch, capsys):
    record = SweepRun("s-1", "digits", METRIC)

    def fail(*arguments, **options):
        raise OSError("disk full")

    monkeypatch.setattr(type(store), "create_run", fail)
    record.began(Trial({"model.beta": 0.5}, 1))
    record.ended(Trial({"model.beta": 0.5}, 1, FINISHED, history(3.0)))
    assert capsys.readouterr().out.count("disk full. The sweep goes on") == 1
