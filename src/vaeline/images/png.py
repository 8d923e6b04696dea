"""Images written as PNG pictures."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from vaeline.images.arrays import drawable, to_uint8
from vaeline.images.types import DrawnImage


def encode_png(
    image: UInt8[np.ndarray, "height width channels"], texts: Mapping[str, str] | None = None, optimize: bool = False
) -> bytes:
    """An image (height, width, channels) uint8 as an 8-bit PNG, with `texts` as its text chunks."""
    about = PngInfo()
    for name, text in (texts or {}).items():
        about.add_itxt(name, text)
    stream = io.BytesIO()
    Image.fromarray(drawable(image)).save(stream, "PNG", pnginfo=about, optimize=optimize)
    return stream.getvalue()


def save_picture(image: DrawnImage, file: Path) -> None:
    """Write an image (height, width, channels) in [0, 1] as an 8-bit PNG."""
    file.write_bytes(encode_png(to_uint8(image), optimize=True))
