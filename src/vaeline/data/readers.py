"""Own images: folders of PNG or JPEG, .npz files and IDX files, as arrays with labels."""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from sklearn.datasets import load_digits

from vaeline.data.idx import read_idx
from vaeline.data.sources import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from vaeline.errors import VaelineError

SIDE = 28
PICTURE_ENDINGS = {".png", ".jpg", ".jpeg"}
UNLABELLED = ("unlabelled",)
NPZ_NAMES = (("x_train", "y_train"), ("images", "labels"), ("x", "y"))


@dataclass(frozen=True)
class ImageSet:
    """Images as they were found: (count, height, width), any dtype; labels (count,) index `classes`.

    `test_images` and `test_labels` are None where the source has no test set of its own.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    test_images: np.ndarray | None = None
    test_labels: np.ndarray | None = None


def read_image_set(path: Path) -> ImageSet:
    """Images at `path`: a folder of pictures (one sub-folder a label, or none), an .npz, or a folder of IDX files.

    Pictures become grey and are fitted into 28×28, keeping their proportions; arrays stay as they are.

    Raises:
        VaelineError: nothing usable is there, a file cannot be read, or images and labels do not belong together.
    """
    if path.suffix == ".npz" and path.is_file():
        found = _read_npz(path)
    elif not path.is_dir():
        raise VaelineError(f"{path}: neither a folder nor an .npz file; see data/own/README.md for what is read")
    elif any((path / name).is_file() for name in (TRAIN_IMAGES, f"{TRAIN_IMAGES}.gz")):
        found = _read_idx_folder(path)
    else:
        found = _read_pictures(path)
    _check_pair(path, found.images, found.labels)
    if found.test_images is not None:
        _check_pair(path, found.test_images, found.test_labels)
    return found


def read_digits() -> ImageSet:
    """The 1,797 handwritten UCI digits that come with scikit-learn, 8×8 greys 0–16 drawn at 28×28 like MNIST.

    Each is enlarged to 20×20 and stands in a border of four blank pixels.
    """
    bunch = load_digits()
    greys = (bunch.images * (255 / 16)).round().astype("uint8")
    enlarged = [Image.fromarray(grey).resize((20, 20), Image.Resampling.BICUBIC) for grey in greys]
    images = np.stack([np.pad(np.asarray(picture), (SIDE - 20) // 2) for picture in enlarged])
    return ImageSet(images, bunch.target.astype("uint8"), tuple(str(digit) for digit in bunch.target_names))


def fit_picture(picture: Image.Image, shape: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """A picture of any size and mode as uint8 (height, width): grey, its proportions kept, black beside it."""
    return np.asarray(ImageOps.pad(picture.convert("L"), shape[::-1], Image.Resampling.LANCZOS, color=0))


def fit_to_side(images: np.ndarray) -> np.ndarray:
    """Images (count, height, width) uint8 as (count, 28, 28); those of another size are fitted like pictures.

    Raises:
        VaelineError: the pixels are not uint8.
    """
    if images.dtype != np.uint8:
        raise VaelineError(
            f"images hold {images.dtype} pixels from {images.min()} to {images.max()}; save uint8 greys 0 to 255"
        )
    if images.shape[1:] == (SIDE, SIDE):
        return images
    return np.stack([fit_picture(Image.fromarray(image)) for image in images])


def _read_pictures(folder: Path) -> ImageSet:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in PICTURE_ENDINGS)
    if not files:
        raise VaelineError(f"{folder}: no PNG or JPEG files and no {TRAIN_IMAGES}; see data/own/README.md")
    names = [file.relative_to(folder).parts[0] if file.parent != folder else None for file in files]
    if None in names and any(names):
        loose = next(file for file, name in zip(files, names, strict=True) if name is None)
        raise VaelineError(f"{loose}: lies beside labelled sub-folders; give every picture a sub-folder, or none")
    classes = tuple(sorted(set(names))) if None not in names else UNLABELLED
    labels = np.array([classes.index(name) if name else 0 for name in names])
    return ImageSet(np.stack([_read_picture(file) for file in files]), _byte_labels(folder, labels), classes)


def _read_picture(file: Path) -> np.ndarray:
    try:
        with Image.open(file) as picture:
            return fit_picture(picture)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise VaelineError(f"{file}: not a picture that can be read ({error}); mend or remove it") from None


def _read_npz(path: Path) -> ImageSet:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise VaelineError(f"{path}: not a readable .npz file without pickles ({error})") from None
    for image_name, label_name in NPZ_NAMES:
        if image_name in arrays:
            images = arrays[image_name]
            labels, classes = _classes(path, arrays.get(label_name), len(images))
            test_images = arrays.get("x_test") if image_name == "x_train" else None
            if test_images is None:
                return ImageSet(images, labels, classes)
            given = arrays.get("y_test")
            test_labels = np.zeros(len(test_images), "uint8") if given is None else _byte_labels(path, given)
            return ImageSet(images, labels, classes, test_images, test_labels)
    wanted = ", ".join(name for pair in NPZ_NAMES for name in pair)
    raise VaelineError(f"{path}: holds {', '.join(arrays) or 'nothing'}; expected one of the pairs of {wanted}")


def _read_idx_folder(folder: Path) -> ImageSet:
    images, labels = _idx(folder, TRAIN_IMAGES), _idx(folder, TRAIN_LABELS)
    labels, classes = _classes(folder, labels, len(images))
    test_images, test_labels = _idx(folder, TEST_IMAGES), _idx(folder, TEST_LABELS)
    if test_images is not None and test_labels is None:
        test_labels = np.zeros(len(test_images), "uint8")
    return ImageSet(images, labels, classes, test_images, test_labels)


def _idx(folder: Path, name: str) -> np.ndarray | None:
    found = [file for file in (folder / name, folder / f"{name}.gz") if file.is_file()]
    return read_idx(found[0]) if found else None


def _classes(path: Path, labels: np.ndarray | None, count: int) -> tuple[np.ndarray, tuple[str, ...]]:
    if labels is None:
        return np.zeros(count, "uint8"), UNLABELLED
    labels = _byte_labels(path, labels)
    return labels, tuple(str(label) for label in range(int(labels.max()) + 1))


def _byte_labels(path: Path, labels: Iterable[int]) -> np.ndarray:
    labels = np.asarray(labels)
    whole = labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer) and labels.size
    if not whole or labels.min() < 0 or labels.max() > 255:
        raise VaelineError(f"{path}: labels must be one list of whole numbers from 0 to 255")
    return labels.astype("uint8")


def _check_pair(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    if images.ndim != 3:
        raise VaelineError(f"{path}: images have shape {images.shape}, expected (count, height, width)")
    if len(images) != len(labels):
        raise VaelineError(f"{path}: {len(images)} images but {len(labels)} labels")
