"""Signals that end this process, and the end of processes that it started."""

import os
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType

import psutil

ASKED_EVERY = 0.2  # seconds


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
