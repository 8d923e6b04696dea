"""Pictures that people hand to a trained model: any size, any number, some of them broken."""

import math
import struct
import tokenize
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from vaeline.data.prepared import scale
from vaeline.data.readers import PICTURE_ENDINGS, fit_picture
from vaeline.errors import VaelineError

ARRAY_ENDING = ".npy"
ENDINGS = PICTURE_ENDINGS | {ARRAY_ENDING}
MOST_PIXELS = 50_000_000
BROKEN_PICTURE = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error)
BROKEN_ARRAY = (OSError, ValueError, SyntaxError, EOFError, TypeError, OverflowError, tokenize.TokenError)


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
                raise _UnusableError("an empty file")
            found = _read_array(file, shape, invert) if _is_array(file) else _read_picture(file, shape, invert)
        except _UnusableError as reason:
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


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Greys in [0, 1], of any shape, as the nearest of 0 to 255, uint8."""
    return np.rint(images * 255).astype("uint8")


def save_picture(image: np.ndarray, file: Path) -> None:
    """Write an image (height, width) in [0, 1] as an 8-bit grey PNG."""
    Image.fromarray(to_uint8(image)).save(file, "PNG", optimize=True)


class _UnusableError(Exception):
    """Why one file cannot be used."""


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


def _read_picture(file: Path, shape: tuple[int, int], invert: bool) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bombs, which the size decides, and of odd metadata
        try:
            with Image.open(file, formats=("PNG", "JPEG")) as picture:
                _check_size(picture.size)
                grey = _grey(ImageOps.exif_transpose(picture), paper=255 if invert else 0)
        except Image.DecompressionBombError:
            raise _UnusableError(f"too large: at most {MOST_PIXELS:,} pixels are read") from None
        except UnidentifiedImageError:
            raise _UnusableError("not a PNG or JPEG picture, whatever its name says") from None
        except BROKEN_PICTURE as error:
            raise _UnusableError(f"a broken picture ({' '.join(str(error).split())})") from None
    return scale(fit_picture(ImageOps.invert(grey) if invert else grey, shape))[None]


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
        raise _UnusableError("cut off, or no .npy array of numbers (pickles are not read)") from None
    if array.ndim not in (2, 3) or not array.size:
        raise _UnusableError(f"has shape {array.shape}, expected (height, width) or (count, height, width)")
    _check_size(array.shape[-2:])
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
        raise _UnusableError(f"holds {pixels.dtype} values; save uint8 greys 0 to 255 or floats 0 to 1")
    if not np.isfinite(pixels).all():
        raise _UnusableError("holds NaN or infinite values")
    if pixels.min() < 0 or pixels.max() > 1:
        raise _UnusableError(f"holds floats from {pixels.min():.3g} to {pixels.max():.3g}; they must lie in 0 to 1")
    return np.array(pixels, "float32")


def _check_size(size: Sequence[int]) -> None:
    if math.prod(size) > MOST_PIXELS:
        raise _UnusableError(f"too large: {' × '.join(map(str, size))} pixels, at most {MOST_PIXELS:,} are read")
