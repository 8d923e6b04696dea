"""Two of everything at once in one folder: one works, the other waits or says so, and the result is that of one."""

import pytest
from fault.catalogue import several, times, tried
from fault.commands import COMMANDS, ended
from fault.place import assert_as_undisturbed, fresh
from pipeline.workspace import copy_workspace


@times(2)
@pytest.mark.parametrize("second", [("vaeline", "run"), ("dvc", "repro")])
def test_two_runs_at_once_end_as_one(tmp_path, second, seed):
    with tried(f"`vaeline run` and `{' '.join(second)}` at once", seed, "one ends, or the next run ends, as one alone"):
        place = copy_workspace(fresh(), tmp_path)
        started = [place.start("vaeline", "run"), place.start(*second)]
        outputs = [process.communicate(timeout=600)[0] for process in started]
        assert "Traceback" not in "".join(outputs)
        assert_as_undisturbed(place, *outputs, place.run("vaeline", "run"))


@several("name", *COMMANDS)
@times(1)
def test_the_same_command_twice_at_once_ends_as_one(tmp_path, name, seed):
    with tried(f"`vaeline {name}` twice at once", seed, "the result is that of one"):
        command, (expected, _) = COMMANDS[name], ended(name)
        place = command.prepare(tmp_path)
        for process in [place.start(*command.words) for _ in range(2)]:
            output, _ = process.communicate(timeout=600)
            assert "Traceback" not in output, output
            assert process.returncode == 0 or "vaeline: " in output, output
        command.ends_as(place, expected)
