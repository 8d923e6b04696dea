import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from vaeline.server.process import until_stopped

SHOT = """
import signal, subprocess, sys, time
from vaeline.server.process import with_death_signal
child = subprocess.Popen(with_death_signal(signal.SIGTERM, [sys.executable, "-c", "import time; time.sleep(600)"]))
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells children of their parent's death")
@pytest.mark.parametrize("late", [False, True])
def test_a_process_with_a_death_signal_ends_with_its_parent(late, tmp_path, monkeypatch):
    if late:  # the parent is dead before the signal is set
        waiting = f'while kill -0 "$6"; do sleep 0.01; done 2>/dev/null; exec {shutil.which("setpriv")} "$@"'
        (tmp_path / "setpriv").write_text(f"#!/bin/sh\n{waiting}\n")
        (tmp_path / "setpriv").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with subprocess.Popen([sys.executable, "-c", SHOT], stdout=subprocess.PIPE, text=True) as holder:
        child = psutil.Process(int(holder.stdout.readline()))
        while not late and child.name() in {"setpriv", "sh"}:
            time.sleep(0.01)
        holder.kill()
    gone, _ = psutil.wait_procs([child], timeout=60)
    assert gone == [child]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_ends_the_block_and_cannot_cut_off_what_it_cleans_up(number):
    steps = []
    handler = signal.getsignal(number)
    with until_stopped():
        try:
            os.kill(os.getpid(), number)
            time.sleep(600)
        finally:
            os.kill(os.getpid(), number)
            steps.append("clean")
    assert steps == ["clean"]
    assert signal.getsignal(number) is handler
