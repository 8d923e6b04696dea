"""Processes of this machine: end those that this process started, and see whether a port is free for another."""

import os
import signal
import socket
import subprocess
from contextlib import suppress

from vaeline.errors import VaelineError


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


def require_free(port: int) -> None:
    """Raise VaelineError if nothing can listen on this port of the loopback."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise VaelineError(f"port {port} cannot be used ({error.strerror}); choose another with --port") from None
