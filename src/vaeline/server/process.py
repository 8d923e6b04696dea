"""Start processes that also end when this process ends, for any reason."""

import os
import shutil
import signal
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from types import FrameType

IF_PARENT_LIVES = 'test "$PPID" = "$0" && exec "$@"'
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


def with_death_signal(death_signal: signal.Signals, command: Sequence[object]) -> list[str]:
    """A command whose process gets `death_signal` when this process, its parent, dies. This works only on Linux.

    If this process dies before that is set up, the command does not start.
    """
    prefix = []
    if setpriv := shutil.which("setpriv"):
        name = death_signal.name.removeprefix("SIG")
        prefix = [setpriv, "--pdeathsig", name, "sh", "-c", IF_PARENT_LIVES, os.getpid()]
    return [str(part) for part in (*prefix, *command)]


def _stop(number: int, frame: FrameType | None) -> None:
    for other in STOP_SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise Stopped
