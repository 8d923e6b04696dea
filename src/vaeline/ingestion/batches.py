"""Read and write batches of new images. Pickles, links and files that unpack too large are refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vaeline.artifacts import atomic_directory, atomic_file
from vaeline.data.image_sets import IDX_IMAGES, UNLABELLED, find_images, idx_files, label_numbers
from vaeline.errors import VaelineError
from vaeline.images import pictures
from vaeline.images.arrays import to_unit
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.limits import FOREIGN, Limit, Limits
from vaeline.images.parquet import write_parquet
from vaeline.images.png import save_picture
from vaeline.images.reader import FoundImages, visible_files
from vaeline.images.spec import ImageSpec
from vaeline.images.types import AnyImages, ByteImages, FoundLabels, Labels

SMALLEST_SIDE = 8


class UnreadableBatchError(VaelineError):
    """A batch cannot be read; the message says why."""


@dataclass(frozen=True)
class Batch:
    """Images (count, height, width, channels) of any dtype, as they were found; labels (count,) or None.

    A label is the number of a class of the data set.
    """

    images: AnyImages
    labels: Labels | None


def read_batch(path: Path, classes: Sequence[str], spec: ImageSpec, limits: Limits = FOREIGN) -> Batch:
    """The batch at `path`: a folder of pictures or of IDX files, or one file of images; see docs/new_data.md.

    Pictures are read in the size `spec`, like own images. Arrays are not changed, so that the validation can judge
    them. A label is the name of a class in `classes` (the name of a sub-folder, or a word in a Parquet table), or the
    number of a class. If the data set has no labels, all images have its only class.

    Raises:
        UnreadableBatchError: the batch has another form, is broken, holds links or pickles, or exceeds `limits`.
    """
    try:
        _check_files(path, limits.files)
        found = find_images(path, spec, limits)
        _check_images(path, found, limits)
        labels = _label_numbers(path, found.labels, classes)
        if labels is not None:
            labels = label_numbers(path, labels, len(found.images))
    except UnreadableImagesError as error:
        name = path.name if error.file is None else error.file.name
        raise UnreadableBatchError(f"{name}: {error.reason}") from None
    except VaelineError as error:
        raise UnreadableBatchError(str(error)) from None
    return Batch(found.images, np.zeros(len(found.images), "uint8") if tuple(classes) == UNLABELLED else labels)


def write_batch(path: Path, images: ByteImages, labels: Labels | None, classes: tuple[str, ...]) -> None:
    """Write a batch: as .npz, as .parquet with lists of pixels, or, for a name without an ending, as a folder of PNGs.

    Images are (count, height, width, channels) uint8. Labels (count,) are numbers of `classes`, or None.

    Raises:
        VaelineError: the name has another ending.
    """
    if path.suffix == ".npz":
        with atomic_file(path) as temporary:
            arrays: dict[str, Any] = {"images": images} | ({} if labels is None else {"labels": labels})
            np.savez_compressed(temporary, **arrays)
    elif path.suffix == ".parquet":
        with atomic_file(path) as temporary:
            write_parquet(temporary, images, labels)
    elif path.suffix:
        raise VaelineError(f"{path}: the name of a batch must end in .npz or .parquet, or have no ending for a folder")
    else:
        with atomic_directory(path) as folder:
            for row, image in enumerate(to_unit(images)):
                target = folder / ("" if labels is None else classes[labels[row]]) / f"{row:05}.png"
                target.parent.mkdir(exist_ok=True)
                save_picture(image, target)


def _check_files(path: Path, most: Limit) -> None:
    """Refuse links, empty folders, too many files, and other files in a folder of pictures."""
    files = list(visible_files(path, most)) if path.is_dir() and not path.is_symlink() else []
    if link := next((file for file in (path, *path.rglob("*")) if file.is_symlink()), None):
        raise UnreadableBatchError(f"{link.name}: is a link; send the file itself")
    if not path.is_dir():
        return
    if not files:
        raise UnreadableBatchError(f"{path.name}: is an empty folder")
    if idx_files(path, IDX_IMAGES):
        return
    if other := next((file for file in files if file.suffix.lower() not in pictures.ENDINGS), None):
        raise UnreadableBatchError(f"{other.name}: its name is not that of a picture ({pictures.NAMES_OF_FORMATS})")


def _check_images(path: Path, found: FoundImages, limits: Limits) -> None:
    images = found.images
    if found.test_images is not None:
        raise UnreadableBatchError(f"{path.name}: holds a test set; a batch is one set of images")
    if images.nbytes > limits.bytes.most:
        raise UnreadableBatchError(f"{path.name}: {images.nbytes:,} bytes, {limits.bytes}")
    if min(images.shape[1:3]) < SMALLEST_SIDE or images.dtype.kind not in "uif":
        raise UnreadableBatchError(
            f"{path.name}: {images.dtype} images of shape {images.shape}, expected numbers (count, height, width, "
            f"channels), at least {SMALLEST_SIDE} × {SMALLEST_SIDE} pixels"
        )


def _label_numbers(path: Path, labels: FoundLabels, classes: Sequence[str]) -> FoundLabels:
    """Labels as numbers of the classes."""
    if not isinstance(labels, list):
        return labels
    if unknown := sorted(set(labels) - set(classes)):
        raise UnreadableBatchError(f"{path.name}: the label {unknown[0]!r} is no class of the data set")
    return np.array([classes.index(name) for name in labels])
