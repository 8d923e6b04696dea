"""Processes that end when this process ends, for whatever reason."""

import os
import shutil
import signal
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from types import FrameType

IF_HELD = 'test "$PPID" = "$0" && exec "$@"'
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Raised by a signal that ends a server, so that its processes are stopped in order."""


@contextmanager
def until_stopped() -> Generator[None]:
    """The first Ctrl-C, SIGTERM or SIGHUP ends the block quietly. Later ones do not interrupt the clean-up."""
    previous = {number: signal.signal(number, _stop) for number in STOP_SIGNALS}
    try:
        yield
    except Stopped:
        pass
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def leashed(parting: signal.Signals, command: Sequence[object]) -> list[str]:
    """A command whose process gets the signal `parting` when this process is killed. This works only on Linux.

    If this process is killed before that is set up, it is no longer the parent, and the command does not start.
    """
    leash = []
    if setpriv := shutil.which("setpriv"):
        leash = [setpriv, "--pdeathsig", parting.name.removeprefix("SIG"), "sh", "-c", IF_HELD, os.getpid()]
    return [str(part) for part in (*leash, *command)]


def _stop(number: int, frame: FrameType | None) -> None:
    for other in STOP_SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise Stopped
