"""PNG and JPEG pictures: conversion to arrays of a given size."""

import io
import math
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from vaeline.images.arrays import round_levels
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.spec import ImageSpec

ENDINGS = frozenset({".png", ".jpg", ".jpeg"})
FORMATS = ("PNG", "JPEG")
MODES = {1: "L", 3: "RGB"}
BLACK, WHITE = 0, 255
LEVELS_OF_16_BITS = 257  # 65535 / 255
BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    struct.error,
    zlib.error,
)


def read_picture(
    source: Path | BinaryIO,
    spec: ImageSpec,
    most_pixels: int,
    invert: bool = False,
    formats: Sequence[str] = FORMATS,
) -> UInt8[np.ndarray, "{spec.height} {spec.width} {spec.channels}"]:
    """One picture as an image (height, width, channels) uint8 of the size `spec`.

    The content decides the format, not the name. The picture is turned as its EXIF data say, 16 bits are scaled to 8,
    and transparent parts are laid over black, or over white with `invert`. The picture becomes grey (Pillow's mode L)
    or RGB, by the channels of `spec`. `invert` turns dark ink on light paper into light ink on black. Last, the picture
    is scaled into the size by Lanczos' filter. It keeps its proportions, and the rest is black.

    Raises:
        UnreadableImagesError: the picture is empty, broken, of another format, or has more than `most_pixels` pixels,
            which its header says before it is decoded.
    """
    file = source if isinstance(source, Path) else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large pictures and of odd metadata
        try:
            _check_content(source)
            with Image.open(source, formats=list(formats)) as picture:
                check_size(picture.size[::-1], most_pixels, file)
                plain = _plain(ImageOps.exif_transpose(picture), spec.channels, WHITE if invert else BLACK)
        except Image.DecompressionBombError:
            raise UnreadableImagesError(f"too large: at most {most_pixels:,} pixels are read", file) from None
        except UnidentifiedImageError:
            raise UnreadableImagesError(f"not a {' or '.join(formats)} picture, whatever its name says", file) from None
        except BROKEN as error:
            raise UnreadableImagesError(f"a broken picture ({' '.join(str(error).split())})", file) from None
    return fit_picture(ImageOps.invert(plain) if invert else plain, spec)


def fit_picture(
    picture: Image.Image, spec: ImageSpec
) -> UInt8[np.ndarray, "{spec.height} {spec.width} {spec.channels}"]:
    """A picture of any size and mode as (height, width, channels) uint8; its proportions are kept."""
    plain = picture.convert(MODES[spec.channels])
    fitted = ImageOps.pad(plain, (spec.width, spec.height), Image.Resampling.LANCZOS, color=BLACK)
    return np.asarray(fitted).reshape(spec.shape)


def check_size(size: tuple[int, int], most_pixels: int, file: Path | None = None) -> None:
    """Refuse a picture of (height, width) with more than `most_pixels` pixels, by UnreadableImagesError."""
    if math.prod(size) > most_pixels:
        raise UnreadableImagesError(
            f"too large: {size[0]} × {size[1]} pixels (height × width), at most {most_pixels:,} are read", file
        )


def _check_content(source: Path | BinaryIO) -> None:
    size = source.stat().st_size if isinstance(source, Path) else source.seek(0, io.SEEK_END)
    if not isinstance(source, Path):
        source.seek(0)
    if not size:
        raise UnreadableImagesError("an empty file", source if isinstance(source, Path) else None)


def _plain(picture: Image.Image, channels: int, background: int) -> Image.Image:
    """The picture as mode L or RGB: 16 bits scaled to 8, transparent parts laid over `background`."""
    if picture.mode.startswith("I"):
        levels = np.asarray(picture).astype("float64") / LEVELS_OF_16_BITS
        return Image.fromarray(round_levels(levels)).convert(MODES[channels])
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, (*[background] * 3, 255)), layer)
    return picture.convert(MODES[channels])
