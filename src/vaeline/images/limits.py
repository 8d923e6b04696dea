"""How large a file of images may be. The size is checked before the file is decoded."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The largest allowed number of pixels of a picture, of bytes of unpacked arrays, and of images in a set."""

    pixels: int
    bytes: int
    rows: int


OWN = Limits(pixels=50_000_000, bytes=2**32, rows=10_000_000)
"""For files that the user names: a training set, a window, pictures of a command."""

FOREIGN = Limits(pixels=4_000_000, bytes=2**30, rows=200_000)
"""For batches that others send."""
