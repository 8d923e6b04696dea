"""Processes that end with this one, whatever ends it."""

import os
import shutil
import signal
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from types import FrameType

IF_HELD = 'test "$PPID" = "$0" && exec "$@"'
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """One of the signals that end a server, as an exception, so that what runs is stopped in order."""


@contextmanager
def until_stopped() -> Generator[None]:
    """The first Ctrl-C, SIGTERM or SIGHUP ends the block quietly; those that follow do not cut off its cleaning up."""
    previous = {number: signal.signal(number, _stop) for number in STOP_SIGNALS}
    try:
        yield
    except Stopped:
        pass
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def leashed(parting: signal.Signals, command: Sequence[object]) -> list[str]:
    """A command whose process gets the signal `parting` when this one is shot; only Linux has a way to do that.

    Shot before the leash was on, this process is no longer the parent, and the command is not begun.
    """
    leash = []
    if setpriv := shutil.which("setpriv"):
        leash = [setpriv, "--pdeathsig", parting.name.removeprefix("SIG"), "sh", "-c", IF_HELD, os.getpid()]
    return [str(part) for part in (*leash, *command)]


def _stop(number: int, frame: FrameType | None) -> None:
    for other in STOP_SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise Stopped
