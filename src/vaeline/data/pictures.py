"""Pictures that people hand to a trained model: any size, any number, some of them broken."""

import math
import struct
import tokenize
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from vaeline.data.prepared import scale
from vaeline.data.readers import PICTURE_ENDINGS, fit_picture
from vaeline.errors import VaelineError

ARRAY_ENDING = ".npy"
ENDINGS = PICTURE_ENDINGS | {ARRAY_ENDING}
FORMATS = ("PNG", "JPEG")
MOST_PIXELS = 50_000_000
BROKEN_PICTURE = (
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
BROKEN_ARRAY = (OSError, ValueError, SyntaxError, EOFError, TypeError, OverflowError, tokenize.TokenError)


class UnusablePictureError(Exception):
    """Why one picture cannot be used."""


@dataclass(frozen=True)
class Pictures:
    """What could be read: `names` (a file, or `file.npy[3]`) of `images` (count, height, width), float32 in [0, 1].

    `skipped` holds what could not be read, each path with the reason.
    """

    names: tuple[str, ...]
    images: np.ndarray
    skipped: tuple[tuple[Path, str], ...]


def read_pictures(paths: Sequence[Path], shape: tuple[int, int], invert: bool = False) -> Pictures:
    """Read PNG and JPEG pictures, .npy arrays, and folders of them (sub-folders too, by name), fitted to `shape`.

    A picture is turned as its EXIF data say, becomes grey, and is fitted into (height, width), its proportions kept,
    with Lanczos' filter and black beside it; what is transparent shows the paper: black, with `invert` white. An .npy
    holds one image (h, w) or a stack (n, h, w), uint8 or floats 0 to 1; those of another size are fitted like pictures.
    `invert` turns dark ink on light paper into light ink on black, before fitting. A file named twice is read once.

    Raises:
        VaelineError: nothing could be read; the message says why, file by file.
    """
    skipped: list[tuple[Path, str]] = []
    files = list(dict.fromkeys(_files(paths, skipped)))
    names: list[str] = []
    images: list[np.ndarray] = []
    for file in tqdm(files, desc="reading pictures", disable=None, leave=False):
        try:
            if not file.stat().st_size:
                raise UnusablePictureError("an empty file")
            found = (
                _read_array(file, shape, invert)
                if _is_array(file)
                else read_picture(file, shape, MOST_PIXELS, invert)[None]
            )
        except UnusablePictureError as reason:
            skipped.append((file, str(reason)))
            continue
        single = len(found) == 1
        names += [str(file)] if single else [f"{file}[{row}]" for row in range(len(found))]
        images.append(found)
    if not images:
        reasons = "; ".join(f"{path}: {reason}" for path, reason in skipped[:3])
        more = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
        raise VaelineError(f"no picture could be read: {reasons}{more}")
    return Pictures(tuple(names), np.concatenate(images), tuple(skipped))


def read_picture(
    source: Path | BinaryIO,
    shape: tuple[int, int],
    most_pixels: int,
    invert: bool = False,
    formats: Sequence[str] = FORMATS,
) -> np.ndarray:
    """One picture as `read_pictures` reads it: (height, width), float32 in [0, 1].

    Raises:
        UnusablePictureError: it is broken, of another format, or has more pixels, which its head says before it is
            decoded.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bombs, which the size decides, and of odd metadata
        try:
            with Image.open(source, formats=formats) as picture:
                _check_size(picture.size, most_pixels)
                grey = _grey(ImageOps.exif_transpose(picture), paper=255 if invert else 0)
        except Image.DecompressionBombError:
            raise UnusablePictureError(f"too large: at most {most_pixels:,} pixels are read") from None
        except UnidentifiedImageError:
            raise UnusablePictureError(f"not a {' or '.join(formats)} picture, whatever it is called") from None
        except BROKEN_PICTURE as error:
            raise UnusablePictureError(f"a broken picture ({' '.join(str(error).split())})") from None
    return scale(fit_picture(ImageOps.invert(grey) if invert else grey, shape))


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Greys in [0, 1], of any shape, as the nearest of 0 to 255, uint8."""
    return np.rint(images * 255).astype("uint8")


def save_picture(image: np.ndarray, file: Path) -> None:
    """Write an image (height, width) in [0, 1] as an 8-bit grey PNG."""
    Image.fromarray(to_uint8(image)).save(file, "PNG", optimize=True)


def _files(paths: Sequence[Path], skipped: list[tuple[Path, str]]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = [file for file in sorted(path.rglob("*")) if _is_candidate(file)]
            if not found:
                skipped.append((path, "holds no PNG, JPEG or .npy files"))
            yield from found
        elif not path.exists():
            skipped.append((path, "no such file or folder"))
        elif path.suffix.lower() not in ENDINGS:
            skipped.append((path, "neither PNG, JPEG nor .npy, by its name"))
        else:
            yield path


def _is_candidate(file: Path) -> bool:
    return file.suffix.lower() in ENDINGS and not file.name.startswith(".") and file.is_file()


def _is_array(file: Path) -> bool:
    return file.suffix.lower() == ARRAY_ENDING


def _grey(picture: Image.Image, paper: int) -> Image.Image:
    """The picture as mode L: 16 bits scaled to 8, transparency laid over `paper`."""
    if picture.mode.startswith("I"):
        deep = np.asarray(picture).astype("float64")
        return Image.fromarray(np.clip(np.rint(deep / 257), 0, 255).astype("uint8"))
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, (paper, paper, paper, 255)), layer)
    return picture.convert("L")


def _read_array(file: Path, shape: tuple[int, int], invert: bool) -> np.ndarray:
    try:
        array = np.lib.format.open_memmap(file, mode="r")
    except BROKEN_ARRAY:
        raise UnusablePictureError("cut off, or no .npy array of numbers (pickles are not read)") from None
    if array.ndim not in (2, 3) or not array.size:
        raise UnusablePictureError(f"has shape {array.shape}, expected (height, width) or (count, height, width)")
    _check_size(array.shape[-2:], MOST_PIXELS)
    return np.stack([_fit_array(grey, shape, invert) for grey in array.reshape(-1, *array.shape[-2:])])


def _fit_array(pixels: np.ndarray, shape: tuple[int, int], invert: bool) -> np.ndarray:
    grey = 1 - _unit_greys(pixels) if invert else _unit_greys(pixels)
    if grey.shape == tuple(shape):
        return grey
    return scale(fit_picture(Image.fromarray(to_uint8(grey)), shape))


def _unit_greys(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return scale(pixels)
    if pixels.dtype.kind != "f":
        raise UnusablePictureError(f"holds {pixels.dtype} values; save uint8 greys 0 to 255 or floats 0 to 1")
    if not np.isfinite(pixels).all():
        raise UnusablePictureError("holds NaN or infinite values")
    if pixels.min() < 0 or pixels.max() > 1:
        raise UnusablePictureError(
            f"holds floats from {pixels.min():.3g} to {pixels.max():.3g}; they must lie in 0 to 1"
        )
    return np.array(pixels, "float32")


def _check_size(size: Sequence[int], most: int) -> None:
    if math.prod(size) > most:
        raise UnusablePictureError(f"too large: {' × '.join(map(str, size))} pixels, at most {most:,} are read")
