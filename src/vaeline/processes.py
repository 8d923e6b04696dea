"""Processes of this machine: signals that end this one, run and end others, and see whether a port is free."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

import psutil

from vaeline.errors import VaelineError
from vaeline.redaction import redact

ASKED_EVERY, LAST_LINES = 0.2, 5.0  # seconds


class Terminated(SystemExit):
    """Raised by SIGTERM or another signal that ends the process."""


@contextmanager
def raising(*signals: signal.Signals) -> Generator[None]:
    """Inside the block, these signals raise `Terminated`, so that open resources are closed."""
    previous = {number: signal.signal(number, _terminate) for number in signals}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


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


def end_work(process: subprocess.Popen, seconds: float) -> None:
    """End what a process works on, and so the process: its children get SIGTERM, and it ends when its work has failed.

    It gets no signal itself, so that it can write its files to the end. After `seconds`, all of them are killed.
    """
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:
        for child in _children(process):
            with suppress(psutil.NoSuchProcess):
                child.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(ASKED_EVERY)
    for left in _children(process):
        with suppress(psutil.NoSuchProcess):
            left.kill()
    process.kill()
    process.wait()


def _children(process: subprocess.Popen) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _terminate(signal_number: int, frame: FrameType | None) -> None:
    raise Terminated(128 + signal_number)


def require_free(port: int) -> None:
    """Raise VaelineError if nothing can listen on this port of the loopback."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise VaelineError(f"port {port} cannot be used ({error.strerror}); choose another with --port") from None


def run_redacted(command: Sequence[str]) -> int:
    """Run a command as `redacted` and return its exit status."""
    with redacted(command) as process:
        return process.wait()


@contextmanager
def redacted(command: Sequence[str]) -> Generator[subprocess.Popen]:
    """Start a command. Secrets are removed from what it prints into a log.

    A terminal gets what it prints as it is, because progress bars need the terminal itself.
    """
    if sys.stderr.isatty():
        with subprocess.Popen(command) as process:
            yield process
        return
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1) as process:
        printing = threading.Thread(target=_print_redacted, args=(process.stdout,), daemon=True)
        printing.start()
        try:
            yield process
        finally:
            printing.join(LAST_LINES if process.poll() is None else None)


def _print_redacted(lines: Iterable[str]) -> None:
    for line in lines:
        print(redact(line), end="", flush=True)
