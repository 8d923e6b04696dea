import signal
import subprocess
import sys
import time

import psutil
import pytest

from vaeline.processes import end_group, run_redacted

pytestmark = pytest.mark.usefixtures("processes")

STUBBORN = "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {}; time.sleep(600)"
WITH_A_CHILD = STUBBORN.format("subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])")
BOTH_WAYS = pytest.mark.parametrize("leader_only", [False, True])


def start(code: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", code], start_new_session=True)


@BOTH_WAYS
def test_a_process_that_ends_when_it_is_asked_to_is_not_shot(leader_only):
    process = start("import time; time.sleep(600)")
    end_group(process, 60, leader_only=leader_only)
    assert process.returncode == -signal.SIGTERM


@BOTH_WAYS
def test_a_process_that_does_not_listen_is_shot_with_all_that_it_started(leader_only):
    process = start(WITH_A_CHILD)
    while not (children := psutil.Process(process.pid).children()):
        time.sleep(0.01)
    end_group(process, 1, leader_only=leader_only)
    assert process.returncode == -signal.SIGKILL
    gone, _ = psutil.wait_procs(children, timeout=60)
    assert gone == children


@BOTH_WAYS
def test_children_of_a_process_that_died_are_ended(leader_only):
    process = start(WITH_A_CHILD)
    while not (children := psutil.Process(process.pid).children()):
        time.sleep(0.01)
    process.kill()
    process.wait()
    end_group(process, 60, leader_only=leader_only)
    gone, _ = psutil.wait_procs(children, timeout=60)
    assert gone == children


@pytest.mark.usefixtures("processes")
def test_what_a_command_prints_into_a_log_is_redacted(capfd):
    uri = "s3://key:planted/secret@bucket/x"
    script = f"import sys; print({uri!r}); print('no answer from', {uri!r}, file=sys.stderr); sys.exit(3)"
    assert run_redacted([sys.executable, "-c", script]) == 3
    said = capfd.readouterr()
    assert sorted(said.out.splitlines()) == ["no answer from s3://bucket/x", "s3://bucket/x"]
    assert said.err == ""
