"""The search, on real Ray: what survives when a process, a machine of the cluster or the search itself is killed."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from conftest import ROOT

from vaeline.sweeps.plan import SweepPlan, with_values
from vaeline.sweeps.trials import ENDED, RUNNING, read_trials, train_trial

ray = pytest.importorskip("ray", reason="Ray is not installed; `make setup SCALE=1` installs it")

METRIC = "val_neg_elbo"
QUICK = {"model.architecture": "mlp", "train.epochs": 3, "train.min_kl": 0.0, "train.jit_compile": False}
PLAN = {
    "metric": METRIC,
    "trials": 3,
    "at_once": 1,
    "seed": 1,
    "search": "optuna",
    "early_stopping": None,
    "space": {"train.learning_rate": {"low": 0.0005, "high": 0.005, "log": True}},
}
SEARCH = """
import json, sys
from pathlib import Path
from vaeline.params.whole import read_params
from vaeline.sweeps.plan import SweepPlan, with_values
from vaeline.sweeps.search import Job, search

class Nobody:
    def resumed(self, trials): pass
    def began(self, trial): pass
    def progressed(self, trial): pass
    def ended(self, trial): pass

quick, plan, prepared, folder = json.loads(sys.argv[1])
params = with_values(read_params(), quick)
search(Job(params, plan["metric"], Path(prepared), Path(folder)), SweepPlan.model_validate(plan), Nobody())
"""
PATIENCE = 300  # seconds

pytestmark = pytest.mark.usefixtures("training", "processes")


@pytest.fixture
def quick(params):
    return with_values(params, QUICK | {"compute.threads": 1})


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "trials"


def wait_until(holds):
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "this did not happen in time"
        time.sleep(0.05)


def start_search(prepared, folder):
    import json

    arguments = json.dumps([QUICK | {"compute.threads": 1}, PLAN, str(prepared), str(folder)])
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen([sys.executable, "-c", SEARCH, arguments], cwd=ROOT, env=environment)


def test_a_search_that_was_killed_goes_on_and_repeats_no_trial_that_has_ended(quick, prepared_directory, folder):
    first = start_search(prepared_directory, folder)
    wait_until(lambda: any(trial.state == RUNNING and trial.history for trial in read_trials(folder)[1:]))
    family = [first, *psutil.Process(first.pid).children(recursive=True)]
    for process in family:
        process.send_signal(signal.SIGKILL)
    first.wait()
    before = read_trials(folder)
    ended = [trial for trial in before if trial.state in ENDED]
    assert ended
    written = {trial.key: (folder / f"{trial.key}.json").stat().st_mtime_ns for trial in ended}
    assert start_search(prepared_directory, folder).wait(PATIENCE) == 0
    after = read_trials(folder)
    assert [trial.number for trial in after] == [1, 2, 3]
    assert {trial.state for trial in after} == {"finished"}
    assert {trial.key for trial in before} <= {trial.key for trial in after}
    assert {key: (folder / f"{key}.json").stat().st_mtime_ns for key in written} == written
    assert not [path for path in folder.iterdir() if path.is_dir()], "a checkpoint was left"
    interrupted = next(trial for trial in after if trial.key == before[-1].key)
    alone = train_trial(
        with_values(quick, interrupted.values), prepared_directory, folder / "alone", lambda history: None
    )
    assert [row[METRIC] for row in interrupted.history] == pytest.approx([row[METRIC] for row in alone], abs=1e-6)


class Watcher:
    """An observer that keeps what it is told."""

    def __init__(self):
        self.resumed_trials, self.began_keys, self.ended_trials = [], [], []

    def resumed(self, trials):
        self.resumed_trials = trials

    def began(self, trial):
        self.began_keys.append(trial.key)

    def progressed(self, trial):
        pass

    def ended(self, trial):
        self.ended_trials.append(trial)


def test_values_that_are_drawn_twice_are_trained_once(quick, prepared_directory, folder, monkeypatch):
    from vaeline.sweeps.search import Job, search

    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    space = {"train.epochs": {"choice": [1, 2]}}
    plan = SweepPlan.model_validate(PLAN | {"trials": 4, "space": space})
    watcher, job = Watcher(), Job(quick, METRIC, prepared_directory, folder)
    trials = search(job, plan, watcher)
    assert sorted(len(trial.history) for trial in trials) == [1, 2]
    assert len(watcher.began_keys) == len(set(watcher.began_keys)) == len(watcher.ended_trials) == 2
    again = Watcher()
    written = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.json")}
    assert search(job, plan, again) == trials
    assert (again.resumed_trials, again.began_keys) == (trials, [])
    assert {file.name: file.stat().st_mtime_ns for file in folder.glob("*.json")} == written


def test_a_cluster_that_loses_a_machine_ends_all_trials(quick, prepared_directory, folder, monkeypatch):
    from ray.cluster_utils import Cluster

    from vaeline.sweeps.search import Job, search

    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    doomed = cluster.add_node(num_cpus=1)
    seen = []

    class LosesAMachine:
        def resumed(self, trials):
            assert trials == []

        def began(self, trial):
            pass

        def progressed(self, trial):
            seen.append((trial.number, len(trial.history)))
            if len(seen) == 2:
                cluster.add_node(num_cpus=1)
                cluster.remove_node(doomed, allow_graceful=False)

        def ended(self, trial):
            assert trial.state == "finished", trial.reason

    try:
        plan = SweepPlan.model_validate(PLAN | {"trials": 2})
        trials = search(Job(quick, METRIC, prepared_directory, folder), plan, LosesAMachine(), cluster.address)
    finally:
        cluster.shutdown()
    assert [[row["epoch"] for row in trial.history] for trial in trials] == [[1, 2, 3], [1, 2, 3]]
    assert seen == sorted(seen), "an epoch was trained again"
