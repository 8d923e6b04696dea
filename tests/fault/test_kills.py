"""`kill -9` of everything at any moment: the next `vaeline run` ends as if nothing had happened."""

import random
import time

import pytest
from fault.catalogue import times, tried
from fault.place import assert_as_undisturbed, fresh, kill_all, moment
from pipeline.workspace import Workspace, copy_workspace

SAME = "the next `vaeline run` ends as an undisturbed one"


@pytest.fixture
def place(tmp_path) -> Workspace:
    return copy_workspace(fresh(), tmp_path)


@times(50)
def test_a_run_that_is_killed_at_any_moment_is_ended_by_the_next_one(place, seed):
    with tried("kill -9 of `vaeline run`, at a moment of the whole run", seed, SAME) as this:
        after = moment(seed)
        run = place.start("vaeline", "run")
        time.sleep(after)
        stopped = kill_all(place, run)
        this.lost = f"killed in {stopped.rpartition('Running stage')[2].partition(':')[0].strip() or 'the start'}"
        assert_as_undisturbed(place, stopped, place.run("vaeline", "run"))


@times(7)
def test_a_run_that_is_killed_while_dvc_writes_its_lock_is_ended_by_the_next_one(place, seed):
    with tried("kill -9 of `vaeline run`, while DVC writes dvc.lock", seed, SAME) as this:
        stopped = kill_at_lock(place, seed)
        size = (place.root / "dvc.lock").stat().st_size
        this.lost = f"dvc.lock of {size} bytes"
        output = place.run("vaeline", "run")
        assert "Traceback" not in output
        assert_as_undisturbed(place, stopped, output)


def kill_at_lock(place: Workspace, seed: int) -> str:
    """Kill a run while DVC writes the record of one of its first seven stages; of seven seeds, each has another one."""
    run, lines = place.start("vaeline", "run"), []
    for line in run.stdout:
        lines.append(line)
        if sum("lock file" in earlier and "ating" in earlier for earlier in lines) > seed % 7:
            break
    time.sleep(random.Random(seed).uniform(0, 0.05))
    return "".join(lines) + kill_all(place, run)
