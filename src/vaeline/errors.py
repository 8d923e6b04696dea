"""Errors whose messages are written for users: bad input, failed checks, and disks that cannot be written."""

import errno
import os
import re
import sys
from collections.abc import Callable

from vaeline.process_start import prepare_process
from vaeline.redaction import redact

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
DISK = {
    errno.ENOSPC: ("the disk is full", "free some space"),
    errno.EDQUOT: ("the quota of this disk is used up", "free some space"),
    errno.EROFS: ("the disk is read-only", "make it writable"),
    errno.EACCES: ("this user may not write or read here", "change the owner or the rights"),
    errno.EPERM: ("this user may not write or read here", "change the owner or the rights"),
}
PLACES = {
    errno.ENOTDIR: ("a file lies where a folder should be", "choose another place, or move the file"),
    errno.EEXIST: ("a file lies where a folder should be", "choose another place, or move the file"),
    errno.EISDIR: ("a folder lies where a file should be", "choose another place, or move the folder"),
    errno.ENAMETOOLONG: ("this name is too long", "choose a shorter one"),
    errno.ELOOP: ("this link leads to itself", "choose another place, or remove the link"),
}
IN_WORDS = {
    "database or disk is full": errno.ENOSPC,
    "attempt to write a readonly database": errno.EROFS,
    **{os.strerror(number): number for number in DISK},
}


def printable(text: str) -> str:
    """Text without secrets, with a space in the place of line ends and of other control characters."""
    return CONTROL.sub(" ", redact(text))


class VaelineError(Exception):
    """Bad input or a failed check. The message is one sentence: what, where, what to do.

    It is one line without secrets. What it repeats of the input may hold line ends, or codes that change a terminal.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage.

    A `VaelineError` and a disk that cannot be written print one sentence on stderr and exit with 1; Ctrl-C exits with
    130.
    """
    prepare_process()
    try:
        main()
    except KeyboardInterrupt:
        print("vaeline: stopped; run the same command again to continue", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        sys.exit(f"vaeline: {in_a_sentence(error)}")


def in_a_sentence(error: Exception) -> str:
    """The message of a `VaelineError`, or a sentence about a disk or a place that cannot be written or read.

    Raises:
        Exception: the error itself, if it is of another kind.
    """
    if isinstance(error, VaelineError):
        return str(error)
    cause: BaseException | None = error
    while cause is not None:
        number = cause.errno if isinstance(cause, OSError) and cause.errno in DISK | PLACES else None
        number = number or next((number for words, number in IN_WORDS.items() if words in str(cause)), None)
        if number is not None:
            where = f" ({cause.filename})" if isinstance(cause, OSError) and cause.filename else ""
            what, remedy = (DISK | PLACES)[number]
            return f"{what}{where}; {remedy}, and run the same command again"
        cause = cause.__cause__ or cause.__context__
    raise error
