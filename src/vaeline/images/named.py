"""Images for a trained model, each with the name of its file, and the files that cannot be read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from vaeline.errors import VaelineError
from vaeline.images import pictures
from vaeline.images.arrays import to_unit
from vaeline.images.errors import UnreadableImagesError, named
from vaeline.images.fitting import fit_images
from vaeline.images.limits import OWN, Limit, Limits
from vaeline.images.pictures import read_whole
from vaeline.images.reader import OTHER_PICTURES, read_file, visible_files
from vaeline.images.spec import ImageSpec
from vaeline.images.types import Images

IN_FOLDERS = pictures.ENDINGS | {".npy"}
REASONS_SHOWN = 3


@dataclass(frozen=True)
class NamedImages:
    """Images (count, height, width, channels) float32 in [0, 1], each with its name: a file, or `file.npy[3]`.

    `skipped` holds the paths that could not be read, each with the reason.
    """

    names: tuple[str, ...]
    images: Images
    skipped: tuple[tuple[Path, str], ...]


def read_named_images(
    paths: Sequence[Path], spec: ImageSpec, invert: bool = False, limits: Limits = OWN
) -> NamedImages:
    """The images in files and folders, fitted to the size `spec`; a file that is named twice is read once.

    Files may have all formats of `reader`. In folders and their sub-folders, only pictures and .npy files are read.
    `invert` turns dark ink on light paper into light ink on black.

    Raises:
        VaelineError: no image can be read; the message has the reasons by file.
    """
    skipped: list[tuple[Path, str]] = []
    files = list(dict.fromkeys(_files(paths, skipped, limits.files)))
    names: list[str] = []
    images: list[Images] = []
    for file in tqdm(files, desc="reading images", disable=None, leave=False):
        try:
            found = _read_unit(file, spec, invert, limits)
        except UnreadableImagesError as error:
            skipped.append((file, error.reason))
            continue
        names += [str(file)] if len(found) == 1 else [f"{file}[{row}]" for row in range(len(found))]
        images.append(found)
    if not images:
        raise nothing_read(skipped)
    return NamedImages(tuple(names), np.concatenate(images), tuple(skipped))


def nothing_read(skipped: Sequence[tuple[Path, str]]) -> VaelineError:
    """The error if no picture could be read, with the first reasons."""
    reasons = "; ".join(f"{path}: {reason}" for path, reason in skipped[:REASONS_SHOWN])
    more = f"; and {len(skipped) - REASONS_SHOWN} more" if len(skipped) > REASONS_SHOWN else ""
    return VaelineError(f"no picture could be read: {reasons}{more}")


def read_whole_pictures(
    paths: Sequence[Path], spec: ImageSpec, skipped: list[tuple[Path, str]], invert: bool = False, limits: Limits = OWN
) -> Iterator[tuple[str, UInt8[np.ndarray, "_height _width channels"]]]:
    """The name and the pixels of each picture in files and folders, in its own size, one at a time.

    Paths that cannot be read are added to `skipped`, each with the reason. Only pictures are read.
    """
    files = list(dict.fromkeys(_files(paths, skipped, limits.files)))
    for file in tqdm(files, desc="pictures", disable=None, leave=False):
        try:
            if file.suffix.lower() not in pictures.ENDINGS:
                raise UnreadableImagesError("only pictures are cut into tiles", file)
            picture = read_whole(file, spec, limits.pixels, invert)
        except UnreadableImagesError as error:
            skipped.append((file, error.reason))
            continue
        yield str(file), picture


def _read_unit(file: Path, spec: ImageSpec, invert: bool, limits: Limits) -> Images:
    """The images of one file as float32 in [0, 1]."""
    with named(file):
        images = fit_images(read_file(file, spec, limits, invert).images, spec)
    return to_unit(images) if images.dtype == np.uint8 else images


def _files(paths: Sequence[Path], skipped: list[tuple[Path, str]], most: Limit) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        files = list(visible_files(path, most))
        found = [file for file in files if file.suffix.lower() in IN_FOLDERS]
        others = [file for file in files if file.suffix.lower() in OTHER_PICTURES]
        skipped += [(file, f"not one of {pictures.NAMES_OF_FORMATS}; convert it") for file in others]
        if not found and not others:
            skipped.append((path, f"holds no pictures ({pictures.NAMES_OF_FORMATS}) and no .npy files"))
        yield from found
