"""Sets of images with labels: folders of pictures, NumPy, Parquet and IDX files, and the digits of scikit-learn."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Integer, Shaped
from PIL import Image
from sklearn.datasets import load_digits

from vaeline.data.picture_files import (
    PictureFiles,
    find_picture_files,
    is_picture_table,
    natural_order,
    read_picture_table,
)
from vaeline.data.sources import MNIST_IMAGE, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from vaeline.errors import VaelineError
from vaeline.images.arrays import round_levels
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.idx import read_idx, read_idx_images
from vaeline.images.limits import OWN, Limits
from vaeline.images.parallel import Unusable, read_all
from vaeline.images.pictures import read_picture
from vaeline.images.reader import FoundImages, read_file
from vaeline.images.spec import ImageSpec
from vaeline.images.tiles import read_tiles
from vaeline.images.types import AnyImages, FoundLabels, Labels

UNLABELLED = ("unlabelled",)
IDX_IMAGES, IDX_LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
MOST_LABEL = 65_534
DIGIT_SIDE = 20
DIGITS_TITLE, DIGITS_LICENCE = "UCI digits", "CC BY 4.0, E. Alpaydin and C. Kaynak"


@dataclass(frozen=True)
class ImageSet:
    """Images (count, height, width, channels) of any dtype, as they were found; labels (count,) are numbers of classes.

    Labels are uint8, or uint16 if there are more than 256 classes. `test_images` and `test_labels` are None if the
    source has no test set.
    """

    images: AnyImages
    labels: Labels
    classes: tuple[str, ...]
    test_images: Shaped[np.ndarray, "tests test_height test_width test_channels"] | None = None
    test_labels: Integer[np.ndarray, " tests"] | None = None


def read_image_set(path: Path, spec: ImageSpec, limits: Limits = OWN) -> ImageSet:
    """The images at `path` with their classes; see `find_images`.

    The classes are the names of sub-folders or the words in a table, in natural order, or the numbers from 0.

    Raises:
        VaelineError: there are no images, a file cannot be read, or the labels do not fit the images.
    """
    if is_picture_table(path):
        found = _read_pictures(read_picture_table(path), path, spec, limits)
    else:
        found = find_images(path, spec, limits)
    labels, classes = name_classes(path, found.labels, len(found.images))
    if found.test_images is None:
        return ImageSet(found.images, labels, classes)
    test_labels = np.zeros(len(found.test_images), "uint8")
    if found.test_labels is not None:
        test_labels = label_numbers(path, found.test_labels, len(found.test_images))
    return ImageSet(found.images, labels, classes, found.test_images, test_labels)


def find_images(path: Path, spec: ImageSpec, limits: Limits) -> FoundImages:
    """The images at `path`, and their labels as numbers or names, if there are any.

    A file is read by `read_file`. A folder holds IDX files or pictures. IDX files have the names of MNIST's files, or
    are one file of images and one of labels. Pictures lie in one folder for each label, at any depth, or in no
    sub-folder (`find_picture_files`). They are read in the size `spec`; arrays keep their own size.

    Raises:
        VaelineError: there are no images, or a file cannot be read.
    """
    if path.is_dir() and is_picture_folder(path):
        return _read_pictures(find_picture_files(path, most_files=limits.files), path, spec, limits)
    if path.is_dir():
        return _read_idx_folder(path, limits)
    return read_file(path, spec, limits)


def label_numbers(path: Path, labels: FoundLabels, count: int) -> np.ndarray:
    """Labels (count,) as uint8, or as uint16 if there are more than 256 classes.

    Raises:
        UnreadableImagesError: they are not `count` whole numbers from 0 to 65,534.
    """
    labels = np.asarray(labels)
    is_whole = labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer) and labels.size
    if not is_whole or labels.min() < 0 or labels.max() > MOST_LABEL:
        raise UnreadableImagesError(f"labels must be one list of whole numbers from 0 to {MOST_LABEL:,}", path)
    if len(labels) != count:
        raise UnreadableImagesError(f"{count} images but {len(labels)} labels", path)
    return labels.astype("uint8" if labels.max() < 256 else "uint16")


def name_classes(path: Path, labels: FoundLabels, count: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels (count,) as numbers, and the names of their classes in natural order.

    Raises:
        UnreadableImagesError: labels that are no names do not fit the images, as for `label_numbers`.
    """
    if labels is None:
        return np.zeros(count, "uint8"), UNLABELLED
    if isinstance(labels, list):
        classes = tuple(sorted(sorted(set(labels)), key=natural_order))  # "1" and "01" are equal in natural order
        numbers = {name: number for number, name in enumerate(classes)}
        return label_numbers(path, np.array([numbers[name] for name in labels]), count), classes
    labels = label_numbers(path, labels, count)
    return labels, tuple(str(label) for label in range(int(labels.max()) + 1))


def is_picture_folder(folder: Path) -> bool:
    """Whether a folder is one of pictures, not of IDX files."""
    return not idx_files(folder, IDX_IMAGES)


def idx_files(folder: Path, kind: str) -> list[Path]:
    """The IDX files of one kind in a folder, found by their names; they may be compressed by gzip."""
    return sorted(file for file in folder.iterdir() if file.name.removesuffix(".gz").endswith(kind))


def read_digits() -> ImageSet:
    """The 1,797 handwritten digits of scikit-learn (UCI): 8×8 grey levels 0–16, made 28×28 like MNIST.

    Each digit is enlarged to 20×20 pixels and gets a border of four black pixels.
    """
    bunch = load_digits()
    greys = round_levels(bunch.images * (255 / 16))
    enlarged = [Image.fromarray(grey).resize((DIGIT_SIDE, DIGIT_SIDE), Image.Resampling.BICUBIC) for grey in greys]
    border = (MNIST_IMAGE.height - DIGIT_SIDE) // 2
    images = np.stack([np.pad(np.asarray(picture), border) for picture in enlarged])[..., None]
    return ImageSet(images, bunch.target.astype("uint8"), tuple(str(digit) for digit in bunch.target_names))


def _read_pictures(found: PictureFiles, path: Path, spec: ImageSpec, limits: Limits) -> FoundImages:
    if len(found.files) > limits.images.most:
        raise VaelineError(f"{path}: {len(found.files):,} pictures, {limits.images}")
    if spec.tile:
        return _read_tiled(found, path, spec, limits)
    images = np.empty((len(found.files), *spec.shape), "uint8")
    read = partial(read_picture, spec=spec, most_pixels=limits.pixels)
    for row, image in enumerate(read_all(read, found.files, "pictures")):
        if isinstance(image, Unusable):
            raise UnreadableImagesError(image.reason, image.file)
        images[row] = image
    return FoundImages(images, None if found.labels is None else list(found.labels))


def _read_tiled(found: PictureFiles, path: Path, spec: ImageSpec, limits: Limits) -> FoundImages:
    """The tiles of all pictures; each has the label of its picture."""
    images, labels, count = [], [], 0
    read = partial(read_tiles, spec=spec, most_pixels=limits.pixels)
    for row, tiles in enumerate(read_all(read, found.files, "pictures", at_once=1)):
        if isinstance(tiles, Unusable):
            raise UnreadableImagesError(tiles.reason, tiles.file)
        images.append(tiles)
        count += len(tiles)
        if count > limits.images.most:
            raise UnreadableImagesError(f"more tiles than images are allowed, {limits.images}", path)
        labels += [] if found.labels is None else [found.labels[row]] * len(tiles)
    return FoundImages(np.concatenate(images), None if found.labels is None else labels)


def _read_idx_folder(folder: Path, limits: Limits) -> FoundImages:
    images, labels = idx_files(folder, IDX_IMAGES), idx_files(folder, IDX_LABELS)
    if own := [file for file in images if _is(file, TRAIN_IMAGES)]:
        test, test_labels = [f for f in images if _is(f, TEST_IMAGES)], [f for f in labels if _is(f, TEST_LABELS)]
        images, labels = own, [file for file in labels if _is(file, TRAIN_LABELS)]
    else:
        test, test_labels = [], []
    for files in (images, labels, test, test_labels):
        if len(files) > 1:
            raise VaelineError(f"{folder}: holds more than one IDX file of images or labels; keep one of each")
    return FoundImages(
        read_idx_images(images[0], limits.bytes),
        read_idx(labels[0], limits.bytes) if labels else None,
        read_idx_images(test[0], limits.bytes) if test else None,
        read_idx(test_labels[0], limits.bytes) if test_labels else None,
    )


def _is(file: Path, name: str) -> bool:
    return file.name in (name, f"{name}.gz")
