"""A command that runs as a fork does what it does in a process of its own."""

import signal
import sys
from dataclasses import replace

import pytest
from forking.programs import CAN_FORK
from pipeline.workspace import Workspace

from vaeline.artifacts import digest

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="forks take Linux")
TRAIN = ("env", "PYTHONPATH=src", "python", "pipeline/train.py")
SLEEP = "import signal; print('ready', flush=True); signal.pause()"
ABOUT = "import os, sys; print(os.getcwd(), sys.argv[1:], os.environ['WORD'], sys.path[1], vaeline.__file__)"


def test_a_training_gives_the_bits_of_a_process_of_its_own(branch_off: Workspace):
    model = branch_off.root / "models/vae.keras"
    forked = digest(model)
    model.unlink()
    replace(branch_off, forked=False).run(*TRAIN)
    assert digest(model) == forked


def test_folder_arguments_and_variables_are_those_of_the_command(finished: Workspace, tmp_path):
    command = ("python", "-c", f"import vaeline; {ABOUT}", "a b", "--c")
    told = {"cwd": tmp_path, "WORD": "a word", "PYTHONPATH": str(finished.root / "src")}
    assert finished.run(*command, **told) == replace(finished, forked=False).run(*command, **told)


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "raise SystemExit('a sentence')", "1 / 0", "print('well')"])
def test_exit_status_and_output_are_the_same(finished: Workspace, code):
    ended = []
    for forked in (True, False):
        process = replace(finished, forked=forked).start("python", "-c", code)
        ended.append((process.communicate(timeout=60)[0].splitlines()[-1:], process.returncode))
    assert ended[0] == ended[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_the_fork(finished: Workspace, number, interruptible):
    process = finished.start("python", "-c", SLEEP)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    process.communicate(timeout=60)  # to the end of its output, which the fork holds open as long as it lives
    assert process.returncode == -number


def test_another_command_has_a_python_of_its_own(finished: Workspace):
    said = finished.run("python", "-I", "-c", "import sys; print(sys.executable, 'tensorflow' in sys.modules)")
    assert said.split() == [sys.executable, "False"]
