"""Errors whose messages are written for users: bad input, failed checks, and disks that cannot be written."""

import errno
import os
import re
import sys
from collections.abc import Callable

from vaeline.process_start import prepare_process
from vaeline.redaction import redact

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
RIGHTS = "this user may not write or read here"
WITH_RIGHTS = (
    "let its owner change the rights (`chmod -R g+rwX .` for users of one group), or work in a clone of your own"
)
DISK = {
    errno.ENOSPC: ("the disk is full", "free some space"),
    errno.EDQUOT: ("the quota of this disk is used up", "free some space"),
    errno.EROFS: ("the disk is read-only", "make it writable"),
    errno.EACCES: (RIGHTS, WITH_RIGHTS),
    errno.EPERM: (RIGHTS, WITH_RIGHTS),
}
PLACES = {
    errno.ENOTDIR: ("a file lies where a folder should be", "choose another place, or move the file"),
    errno.EEXIST: ("a file lies where a folder should be", "choose another place, or move the file"),
    errno.EISDIR: ("a folder lies where a file should be", "choose another place, or move the folder"),
    errno.ENAMETOOLONG: ("this name is too long", "choose a shorter one"),
    errno.ELOOP: ("this link leads to itself", "choose another place, or remove the link"),
}
IN_WORDS = {
    "database or disk is full": DISK[errno.ENOSPC],
    "attempt to write a readonly database": (
        "the database is read-only",
        "make its disk, its folder and its file writable for this user",
    ),
    **{os.strerror(number): fault for number, fault in DISK.items()},
}
FAULTS = DISK | PLACES


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
    if said := disk_fault(error):
        return said
    raise error


def disk_fault(error: BaseException | None) -> str:
    """A sentence about the disk, file or right that an error, or what caused it, is about; empty for another error."""
    while error is not None:
        fault = FAULTS.get(error.errno) if isinstance(error, OSError) and error.errno is not None else None
        fault = fault or next((fault for words, fault in IN_WORDS.items() if words in str(error)), None)
        if fault is not None:
            where = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
            what, remedy = fault
            return f"{what}{where}; {remedy}, and run the same command again"
        error = error.__cause__ or error.__context__
    return ""
