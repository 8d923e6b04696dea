"""How large a file of images may be; each size is looked at before the file is decoded."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The most pixels of one picture, bytes of unpacked arrays, and images or files of one set."""

    pixels: int
    bytes: int
    rows: int


OWN = Limits(pixels=50_000_000, bytes=2**32, rows=10_000_000)
"""For files that the user names: a training set, a window, pictures of a command."""

FOREIGN = Limits(pixels=4_000_000, bytes=2**30, rows=200_000)
"""For batches that others send."""
