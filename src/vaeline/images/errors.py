"""The error for a file of images that cannot be read."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from vaeline.errors import VaelineError


class UnreadableImagesError(VaelineError):
    """Why images cannot be read: the `reason`, and the `file` that they are in, or None for bytes without a name."""

    def __init__(self, reason: str, file: Path | None = None) -> None:
        super().__init__(reason if file is None else f"{file}: {reason}")
        self.reason = reason
        self.file = file


@contextmanager
def named(file: Path) -> Generator[None]:
    """Give an UnreadableImagesError that names no file the name of this one."""
    try:
        yield
    except UnreadableImagesError as error:
        if error.file is not None:
            raise
        raise UnreadableImagesError(error.reason, file) from None
