"""The error for a file of images that cannot be read."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from vaeline.errors import VaelineError, printable


class UnreadableImagesError(VaelineError):
    """Images cannot be read, for the `reason`; `file` is where they are, or None for bytes without a name."""

    def __init__(self, reason: str, file: Path | None = None) -> None:
        super().__init__(reason if file is None else f"{file}: {reason}")
        self.reason = printable(reason)
        self.file = file


@contextmanager
def named(file: Path) -> Generator[None]:
    """Add the name of this file to an UnreadableImagesError without one."""
    try:
        yield
    except UnreadableImagesError as error:
        if error.file is not None:
            raise
        raise UnreadableImagesError(error.reason, file) from None
