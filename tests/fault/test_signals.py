"""SIGTERM and Ctrl-C end all that a run has started, within seconds, and the run says so; the next one goes on."""

import os
import signal
import time

import pytest
from fault.catalogue import times, tried
from fault.place import assert_as_undisturbed, fresh, moment, working_in
from pipeline.workspace import Workspace, copy_workspace

ENDED = 15  # seconds


@pytest.fixture
def place(tmp_path) -> Workspace:
    return copy_workspace(fresh(), tmp_path)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGINT of a terminal"])
@times(3)
def test_a_signal_ends_all_processes_and_the_next_run_goes_on(place, name, seed):
    with tried(f"{name} to `vaeline run`", seed, "all processes end; the next run ends as an undisturbed one") as this:
        run = place.start("vaeline", "run")
        time.sleep(moment(7 * seed))
        number = getattr(signal, name.split()[0])
        os.killpg(run.pid, number) if "terminal" in name else os.kill(run.pid, number)
        stopped, _ = run.communicate(timeout=60)
        until = time.monotonic() + ENDED
        while working_in(place.root) and time.monotonic() < until:
            time.sleep(0.1)
        assert not working_in(place.root)
        this.lost = f"stopped in {stopped.rpartition('Running stage')[2].partition(':')[0].strip() or 'the start'}"
        assert {run.info.status for run in place.runs()} <= {"KILLED", "FINISHED"}
        assert_as_undisturbed(place, stopped, place.run("vaeline", "run"))
