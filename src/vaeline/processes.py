"""Processes of this machine: run and end them, and see whether a port is free for one."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from vaeline.errors import VaelineError
from vaeline.redaction import redact


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


def run_redacted(command: Sequence[str]) -> int:
    """Run a command and return its exit status. Secrets are removed from what it prints into a log.

    A terminal gets what it prints as it is, because progress bars need the terminal itself.
    """
    if sys.stderr.isatty():
        return subprocess.run(command, check=False).returncode
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1) as process:
        for line in process.stdout or ():
            print(redact(line), end="", flush=True)
    return process.returncode
