"""How large files of images may be. Sizes are checked before a file is decoded or unpacked."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """The largest allowed number, and the parameter or option that sets it. As text, it ends a sentence."""

    most: int
    key: str

    def __str__(self) -> str:
        return f"at most {self.most:,} are read ({self.key})"


@dataclass(frozen=True)
class Limits:
    """The limits of a source.

    pixels: of a picture. bytes: of a file of arrays or a table, unpacked. images: of a set, and rows of a table.
    files: in a folder.
    """

    pixels: Limit
    bytes: Limit
    images: Limit
    files: Limit


def named_limits(section: str, pixels: int, bytes: int, images: int, files: int) -> Limits:
    """Limits that name the keys of a section of params.yaml."""
    numbers = {"pixels": pixels, "bytes": bytes, "images": images, "files": files}
    return Limits(**{name: Limit(most, f"{section}.{name}") for name, most in numbers.items()})


OWN = named_limits("data.limits", pixels=50_000_000, bytes=2**32, images=10_000_000, files=10_000_000)
"""The usual limits of files that the user names: a training set, a window, pictures of a command."""

FOREIGN = named_limits("ingest.limits", pixels=4_000_000, bytes=2**30, images=200_000, files=200_000)
"""The usual limits of batches that others send."""
