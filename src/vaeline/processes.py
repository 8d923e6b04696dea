"""End processes that this process started."""

import os
import signal
import subprocess
from contextlib import suppress


def end_group(
    process: subprocess.Popen, seconds: float, gently: signal.Signals = signal.SIGTERM, leader_only: bool = False
) -> None:
    """End a process that leads a process group, and the whole group.

    The group gets the signal `gently`. With `leader_only`, only the process gets it, and ends its children itself.
    When the process has ended, or after `seconds`, the rest of the group is killed.
    """
    with suppress(ProcessLookupError):
        if leader_only:
            process.send_signal(gently)
        else:
            os.killpg(process.pid, gently)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
