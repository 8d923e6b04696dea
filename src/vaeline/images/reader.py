"""The one reader of files of images: pictures, NumPy files, Parquet tables and IDX files.

Training, validation, ingestion, monitoring, the commands and the service all use it, so that a file gives the same
array everywhere. Pictures are read in a given size; arrays keep their own size until `fitting` changes it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from vaeline.images import pictures
from vaeline.images.array_files import read_npy, read_npz
from vaeline.images.errors import UnreadableImagesError, named
from vaeline.images.fitting import inverted
from vaeline.images.idx import read_idx_images
from vaeline.images.limits import Limit, Limits
from vaeline.images.parquet import read_parquet
from vaeline.images.pictures import check_size
from vaeline.images.spec import ImageSpec
from vaeline.images.stacks import as_stack, as_stack_or_one
from vaeline.images.tiles import read_tiles
from vaeline.images.types import AnyImages, FoundLabels

NPZ_NAMES = (("x_train", "y_train"), ("images", "labels"), ("x", "y"))
NPZ_TEST_NAMES = ("x_test", "y_test")
IDX_ENDINGS = ("-ubyte", "-ubyte.gz")
OTHER_PICTURES = frozenset({".avif", ".heic", ".heif", ".jp2", ".pgm", ".ppm"})
LITTER = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class FoundImages:
    """Images (count, height, width, channels) of any dtype, and labels as numbers or names, or None.

    `test_images` and `test_labels` are None if the file has no test set.
    """

    images: AnyImages
    labels: FoundLabels = None
    test_images: Shaped[np.ndarray, "tests test_height test_width test_channels"] | None = None
    test_labels: FoundLabels = None


def is_readable(file: Path) -> bool:
    """Whether the name of a file is that of a file of images."""
    return file.suffix.lower() in READERS or file.name.endswith(IDX_ENDINGS)


def read_file(file: Path, spec: ImageSpec, limits: Limits, invert: bool = False) -> FoundImages:
    """The images in one file: a picture in the size `spec`, an array of its own size and type.

    `invert` turns dark ink on light paper into light ink on black.

    Raises:
        UnreadableImagesError: the file is missing, has another form, is broken, or is larger than `limits`.
    """
    if not file.is_file():
        raise UnreadableImagesError("no such file or folder", file)
    if not is_readable(file):
        raise UnreadableImagesError(
            "neither a picture (PNG, JPEG, WebP, BMP, TIFF, GIF) nor .npy, .npz, .parquet or an IDX file, by its name",
            file,
        )
    with named(file):
        found = READERS.get(file.suffix.lower(), _read_idx)(file, spec, limits, invert)
        _check_limits(found.images, limits)
        if found.test_images is not None:
            _check_limits(found.test_images, limits)
    return found


def visible_files(folder: Path, most: Limit) -> Iterator[Path]:
    """The files below a folder, sorted by name, without hidden files and files that operating systems leave behind.

    Raises:
        UnreadableImagesError: the folder holds more than `most` files and folders.
    """
    found = list(islice(folder.rglob("*"), most.most + 1))
    if len(found) > most.most:
        raise UnreadableImagesError(f"holds too many files and folders, {most}", folder)
    for file in sorted(found):
        parts = file.relative_to(folder).parts
        if file.is_file() and not any(part.startswith(".") or part in LITTER for part in parts):
            yield file


def _check_limits(images: AnyImages, limits: Limits) -> None:
    check_size(images.shape[1:3], limits.pixels)
    if len(images) > limits.images.most:
        raise UnreadableImagesError(f"{len(images):,} images, {limits.images}")


def _read_picture(file: Path, spec: ImageSpec, limits: Limits, invert: bool) -> FoundImages:
    return FoundImages(read_tiles(file, spec, limits.pixels, invert))


def _read_npy(file: Path, spec: ImageSpec, limits: Limits, invert: bool) -> FoundImages:
    return FoundImages(_ink(as_stack_or_one(read_npy(file)), invert))


def _read_npz(file: Path, spec: ImageSpec, limits: Limits, invert: bool) -> FoundImages:
    names = [name for pair in NPZ_NAMES for name in pair]
    arrays = read_npz(file, (*names, *NPZ_TEST_NAMES), limits.bytes)
    for image_name, label_name in NPZ_NAMES:
        if image_name in arrays:
            test = arrays.get(NPZ_TEST_NAMES[0]) if image_name == NPZ_NAMES[0][0] else None
            return FoundImages(
                _ink(as_stack(arrays[image_name]), invert),
                arrays.get(label_name),
                None if test is None else _ink(as_stack(test), invert),
                None if test is None else arrays.get(NPZ_TEST_NAMES[1]),
            )
    raise UnreadableImagesError(f"holds {', '.join(arrays)}, but no images; expected one of {', '.join(names[::2])}")


def _read_parquet(file: Path, spec: ImageSpec, limits: Limits, invert: bool) -> FoundImages:
    return FoundImages(*read_parquet(file, spec, limits, invert))


def _read_idx(file: Path, spec: ImageSpec, limits: Limits, invert: bool) -> FoundImages:
    return FoundImages(_ink(read_idx_images(file, limits.bytes), invert))


def _ink(images: AnyImages, invert: bool) -> AnyImages:
    return inverted(images) if invert else images


READERS = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".parquet": _read_parquet,
    **dict.fromkeys(pictures.ENDINGS, _read_picture),
}
