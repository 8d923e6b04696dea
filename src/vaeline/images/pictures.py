"""Pictures: what their headers say, and their conversion to arrays of a given size."""

import io
import math
import struct
import warnings
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms, ImageColor, ImageOps, UnidentifiedImageError

from vaeline.images.arrays import round_levels
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.limits import Limit
from vaeline.images.spec import ImageSpec

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
FORMATS = ("PNG", "JPEG", "WebP", "BMP", "TIFF", "GIF")
NAMES_OF_FORMATS = "PNG, JPEG, WebP, BMP, TIFF or GIF"
MODES = {1: "L", 3: "RGB"}
GREY_MODES = frozenset({"1", "L", "LA", "La"})  # and those of 16 or 32 bits, which begin with I
EXIF_ORIENTATION = 0x0112
QUARTER_TURNS = frozenset({5, 6, 7, 8})
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
    AssertionError,  # of Pillow, where a picture of palette colours has no palette
)


@dataclass(frozen=True)
class Header:
    """A picture's header: height and width after the picture is turned, whether it has colour, its number of frames."""

    height: int
    width: int
    has_colour: bool
    frames: int


def read_header(source: Path | BinaryIO, most_pixels: Limit, formats: Sequence[str] = FORMATS) -> Header:
    """The header of a picture, without its pixels.

    Raises:
        UnreadableImagesError: as `read_picture`, but damage after the header is not found.
    """
    with open_picture(source, most_pixels, formats) as picture:
        turned = picture.getexif().get(EXIF_ORIENTATION) in QUARTER_TURNS
        width, height = picture.size[::-1] if turned else picture.size
        return Header(height, width, _has_colour(picture), getattr(picture, "n_frames", 1))


def read_picture(
    source: Path | BinaryIO,
    spec: ImageSpec,
    most_pixels: Limit,
    invert: bool = False,
    formats: Sequence[str] = FORMATS,
) -> UInt8[np.ndarray, "{spec.height} {spec.width} {spec.channels}"]:
    """One picture as an image (height, width, channels) uint8 of the size `spec`.

    The content decides the format, not the name. Of an animation, the first frame is read. The picture is turned as its
    EXIF data say, 16 bits are scaled to 8, colours of an ICC profile or of CMYK become sRGB, and transparent parts are
    laid over the background of `spec`. The picture becomes grey (Pillow's mode L) or RGB, by the channels of `spec`.
    `invert` turns dark ink on light paper into light ink on black. Last, the picture is fitted into the size by
    Lanczos' filter, as `spec` says.

    Raises:
        UnreadableImagesError: the picture is empty, broken, of another format, or has more than `most_pixels` pixels,
            which its header says before it is decoded.
    """
    with open_picture(source, most_pixels, formats) as picture:
        return fit_picture(_read_plain(picture, spec, invert), spec)


def read_whole(
    source: Path | BinaryIO,
    spec: ImageSpec,
    most_pixels: Limit,
    invert: bool = False,
    formats: Sequence[str] = FORMATS,
) -> UInt8[np.ndarray, "_height _width {spec.channels}"]:
    """One picture in its own size (height, width, channels) uint8, read as by `read_picture` but not fitted.

    Raises:
        UnreadableImagesError: as `read_picture`.
    """
    with open_picture(source, most_pixels, formats) as picture:
        plain = np.asarray(_read_plain(picture, spec, invert))
        return plain.reshape(*plain.shape[:2], spec.channels)


def fit_picture(
    picture: Image.Image, spec: ImageSpec
) -> UInt8[np.ndarray, "{spec.height} {spec.width} {spec.channels}"]:
    """A picture of any size and mode as (height, width, channels) uint8, fitted as `spec` says."""
    plain, size = _in_mode(picture, MODES[spec.channels]), (spec.width, spec.height)
    if spec.fit == "stretch":
        fitted = plain.resize(size, Image.Resampling.LANCZOS)
    elif spec.fit == "crop":
        fitted = ImageOps.fit(plain, size, Image.Resampling.LANCZOS)
    else:
        background = ImageColor.getcolor(spec.background, plain.mode)
        fitted = ImageOps.pad(plain, size, Image.Resampling.LANCZOS, color=background)
    return np.asarray(fitted).reshape(spec.shape)


def check_size(size: tuple[int, int], most_pixels: Limit, file: Path | None = None) -> None:
    """Refuse a picture of (height, width) with more than `most_pixels` pixels, by UnreadableImagesError."""
    if math.prod(size) > most_pixels.most:
        raise UnreadableImagesError(f"too large: {size[0]} × {size[1]} pixels (height × width), {most_pixels}", file)


def _check_content(source: Path | BinaryIO) -> None:
    size = source.stat().st_size if isinstance(source, Path) else source.seek(0, io.SEEK_END)
    if not isinstance(source, Path):
        source.seek(0)
    if not size:
        raise UnreadableImagesError("an empty file", source if isinstance(source, Path) else None)


@contextmanager
def open_picture(
    source: Path | BinaryIO, most_pixels: Limit, formats: Sequence[str] = FORMATS
) -> Generator[Image.Image]:
    """The picture with its header read and its size checked.

    Raises:
        UnreadableImagesError: what Pillow raises, here and while the picture is decoded, in one sentence.
    """
    file = source if isinstance(source, Path) else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large pictures and of odd metadata
        try:
            _check_content(source)
            with Image.open(source, formats=[name.upper() for name in formats]) as picture:
                check_size(picture.size[::-1], most_pixels, file)
                if picture.mode == "F":
                    raise UnreadableImagesError("its pixels are floating-point numbers; save 8 or 16 bits", file)
                yield picture
        except Image.DecompressionBombError:
            raise UnreadableImagesError(f"too large: {most_pixels}", file) from None
        except UnidentifiedImageError:
            names = NAMES_OF_FORMATS if formats == FORMATS else " or ".join(formats)
            raise UnreadableImagesError(f"not a {names} picture, whatever its name says", file) from None
        except BROKEN as error:
            raise UnreadableImagesError(f"a broken picture ({' '.join(str(error).split())})", file) from None


def _has_colour(picture: Image.Image) -> bool:
    if picture.mode == "P":
        palette = np.array(picture.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
        return bool((palette != palette[:, :1]).any())
    return picture.mode not in GREY_MODES and not picture.mode.startswith("I")


def _turned(picture: Image.Image) -> Image.Image:
    """The decoded picture, turned as its EXIF data say. Pillow's function copies those that need no turn."""
    picture.load()
    return ImageOps.exif_transpose(picture) if picture.getexif().get(EXIF_ORIENTATION, 1) != 1 else picture


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    return picture if picture.mode == mode else picture.convert(mode)


def _read_plain(picture: Image.Image, spec: ImageSpec, invert: bool) -> Image.Image:
    """The picture as mode L or RGB, turned as its EXIF data say, over the background of `spec`."""
    background = ImageColor.getrgb(spec.background)
    seen = tuple(255 - level for level in background) if invert else background
    plain = _plain(_turned(picture), spec.channels, seen)
    return ImageOps.invert(plain) if invert else plain


def _plain(picture: Image.Image, channels: int, background: tuple[int, ...]) -> Image.Image:
    """The picture as mode L or RGB: 16 bits scaled to 8, transparent parts over `background`, colours in sRGB."""
    if picture.mode.startswith("I"):
        levels = np.asarray(picture).astype("float64") / LEVELS_OF_16_BITS
        return Image.fromarray(round_levels(levels)).convert(MODES[channels])
    profile = picture.info.get("icc_profile")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, (*background, 255)), layer).convert("RGB")
    if profile and picture.mode == "P":
        picture = picture.convert("RGB")  # a profile describes colours, not numbers of a palette
    if profile and (to_srgb := _transform_to_srgb(profile, picture.mode)):
        picture = to_srgb.apply(picture)
    return _in_mode(picture, MODES[channels])


@lru_cache(maxsize=16)
def _transform_to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The way from an ICC profile to sRGB; None where the profile is sRGB, or cannot describe pictures of this mode."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError):  # a picture with a broken or unsuitable profile is shown, as in browsers
        return None
