"""Sections `limits` of `params.yaml`: how large files may be before they are decoded or unpacked."""

from typing import Self

from pydantic import Field

from vaeline.images.limits import Limits, named_limits
from vaeline.params.base import Section


class LimitsParams(Section):
    """The most pixels of a picture, bytes of an unpacked file, images of a set, and files in a folder."""

    pixels: int = Field(ge=1)
    bytes: int = Field(ge=1)
    images: int = Field(ge=1)
    files: int = Field(ge=1)

    @classmethod
    def of(cls, usual: Limits) -> Self:
        """Limits as a section."""
        return cls(pixels=usual.pixels.most, bytes=usual.bytes.most, images=usual.images.most, files=usual.files.most)

    def named(self, section: str) -> Limits:
        """The limits, with the names of their parameters below `section`."""
        return named_limits(section, self.pixels, self.bytes, self.images, self.files)
