"""Processes that this one started."""

import os
import signal
import subprocess


def end_group(process: subprocess.Popen, grace: float) -> None:
    """End a process and its group, which it leads: by SIGTERM, and by SIGKILL after `grace` seconds each."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(grace)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
