"""Batches of new images: read without trust (no pickles, links or bombs) in the forms they arrive in, and written."""

import gzip
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vaeline.artifacts import atomic_directory, atomic_file
from vaeline.data.idx import read_idx
from vaeline.data.pictures import UnusablePictureError, read_picture, save_picture, to_uint8
from vaeline.data.prepared import scale
from vaeline.data.readers import NPZ_NAMES, PICTURE_ENDINGS, SIDE, UNLABELLED
from vaeline.errors import VaelineError
from vaeline.ingestion.parquet import read_parquet

MOST_ROWS = 200_000
MOST_BYTES = 2**30
MOST_PIXELS = 4_000_000
SMALLEST_SIDE = 8
IDX_IMAGES, IDX_LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"


class UnreadableBatchError(VaelineError):
    """Why a batch is not one that can be read."""


@dataclass(frozen=True)
class Batch:
    """Images (count, height, width) as they were found, of any type; labels (count,) index the classes, or None."""

    images: np.ndarray
    labels: np.ndarray | None


def read_batch(path: Path, classes: Sequence[str]) -> Batch:
    """The batch at `path`: a folder of pictures or of IDX files, an .npz or a .parquet; see docs/new_data.md.

    Pictures are fitted into 28×28 like those of `data/own`; arrays stay as they are. `classes` are the names that
    labels may have: those of sub-folders and words in Parquet, while numbers count them. A data set that has no labels
    takes every batch for one of its only class.

    Raises:
        UnreadableBatchError: it has another form, is broken, holds links or pickles, or is larger than is read.
    """
    try:
        images, labels = _read(path, classes)
    except UnreadableBatchError:
        raise
    except (VaelineError, UnusablePictureError) as error:
        raise UnreadableBatchError(str(error)) from None
    if tuple(classes) == UNLABELLED:
        labels = np.zeros(len(images), "uint8")
    _check(path, images, labels)
    return Batch(images, None if labels is None else _byte_labels(path, labels))


def write_batch(path: Path, images: np.ndarray, labels: np.ndarray | None, classes: tuple[str, ...]) -> None:
    """Write a batch as an .npz, as a .parquet of lists, or, without an ending, as a folder of PNGs; labels may lack.

    Raises:
        VaelineError: the name has another ending.
    """
    if path.suffix == ".npz":
        with atomic_file(path) as temporary:
            np.savez_compressed(temporary, images=images, **({} if labels is None else {"labels": labels}))
    elif path.suffix == ".parquet":
        columns = {"image": pa.array(list(images.reshape(len(images), -1)), pa.list_(pa.uint8()))}
        with atomic_file(path) as temporary:
            pq.write_table(pa.table(columns if labels is None else {**columns, "label": labels}), temporary)
    elif path.suffix:
        raise VaelineError(f"{path}: a batch is written as .npz, as .parquet, or as a folder, by its name")
    else:
        with atomic_directory(path) as folder:
            for row, image in enumerate(scale(images)):
                target = folder / ("" if labels is None else classes[labels[row]]) / f"{row:05}.png"
                target.parent.mkdir(exist_ok=True)
                save_picture(image, target)


def _read(path: Path, classes: Sequence[str]) -> tuple[np.ndarray, Any]:
    if link := next((file for file in (path, *path.rglob("*")) if file.is_symlink()), None):
        raise UnreadableBatchError(f"{link.name}: a link; send the file itself")
    if path.is_file() and path.suffix == ".npz":
        return _read_npz(path)
    if path.is_file() and path.suffix == ".parquet":
        return read_parquet(path, classes, MOST_ROWS, MOST_BYTES, MOST_PIXELS)
    if not path.is_dir():
        raise UnreadableBatchError(f"{path.name}: neither a folder nor .npz nor .parquet, by its name")
    if _idx_files(path, IDX_IMAGES):
        return _read_idx_folder(path)
    return _read_pictures(path, classes)


def _read_npz(path: Path) -> tuple[np.ndarray, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            if (size := sum(member.file_size for member in archive.infolist())) > MOST_BYTES:
                raise UnreadableBatchError(
                    f"{path.name}: {size:,} bytes when unpacked, at most {MOST_BYTES:,} are read"
                )
        with np.load(path, allow_pickle=False) as archive:
            for image_name, label_name in NPZ_NAMES:
                if image_name in archive.files:
                    return archive[image_name], archive[label_name] if label_name in archive.files else None
            raise UnreadableBatchError(f"{path.name}: holds {', '.join(archive.files) or 'nothing'}; expected images")
    except (ValueError, OSError, EOFError, KeyError, NotImplementedError, zlib.error, zipfile.BadZipFile) as error:
        raise UnreadableBatchError(f"{path.name}: not a readable .npz file without pickles ({error})") from None


def _read_idx_folder(folder: Path) -> tuple[np.ndarray, Any]:
    images, labels = _idx_files(folder, IDX_IMAGES), _idx_files(folder, IDX_LABELS)
    if len(images) > 1 or len(labels) > 1:
        raise UnreadableBatchError(
            f"{folder.name}: more than one IDX file of images or labels; a batch has one of each"
        )
    for file in (*images, *labels):
        _check_unpacked(file)
    return read_idx(images[0]), read_idx(labels[0]) if labels else None


def _idx_files(folder: Path, kind: str) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.name.removesuffix(".gz").endswith(kind))


def _check_unpacked(file: Path) -> None:
    """That a .gz file is no larger than is read: its own word for its size can be false, so it is unpacked to see."""
    if file.suffix != ".gz":
        return
    size = 0
    try:
        with gzip.open(file) as stream:
            while chunk := stream.read(2**20):
                size += len(chunk)
                if size > MOST_BYTES:
                    raise UnreadableBatchError(f"{file.name}: more than {MOST_BYTES:,} bytes when unpacked")
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableBatchError(f"{file.name}: broken gzip file ({error})") from None


def _read_pictures(folder: Path, classes: Sequence[str]) -> tuple[np.ndarray, Any]:
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    if not files:
        raise UnreadableBatchError(f"{folder.name}: an empty folder")
    if len(files) > MOST_ROWS:
        raise UnreadableBatchError(f"{folder.name}: {len(files):,} files, at most {MOST_ROWS:,} are read")
    names = [file.relative_to(folder).parts[0] if file.parent != folder else "" for file in files]
    if "" in names and any(names):
        raise UnreadableBatchError(f"{folder.name}: pictures beside labelled sub-folders; all or none have a label")
    if unknown := sorted(set(filter(None, names)) - set(classes)):
        raise UnreadableBatchError(f"{unknown[0]!r}: a sub-folder is a label, and no class is called that")
    images = np.stack([_read_picture(file) for file in files])
    return images, [classes.index(name) for name in names] if any(names) else None


def _read_picture(file: Path) -> np.ndarray:
    if file.suffix.lower() not in PICTURE_ENDINGS:
        raise UnreadableBatchError(f"{file.name}: not a PNG or JPEG picture, by its name")
    try:
        return to_uint8(read_picture(file, (SIDE, SIDE), MOST_PIXELS))
    except UnusablePictureError as error:
        raise UnreadableBatchError(f"{file.name}: {error}") from None


def _check(path: Path, images: np.ndarray, labels: Any) -> None:
    if images.ndim != 3 or min(images.shape[1:]) < SMALLEST_SIDE or images.dtype.kind not in "uif":
        raise UnreadableBatchError(
            f"{path.name}: {images.dtype} images of shape {images.shape}, expected numbers (count, height, width)"
        )
    if not 0 < len(images) <= MOST_ROWS:
        raise UnreadableBatchError(f"{path.name}: {len(images):,} images, expected 1 to {MOST_ROWS:,}")
    if labels is not None and np.shape(labels) != (len(images),):
        raise UnreadableBatchError(f"{path.name}: {len(images)} images, but labels of shape {np.shape(labels)}")


def _byte_labels(path: Path, labels: Any) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.dtype.kind not in "ui" or labels.min() < 0 or labels.max() > 255:
        raise UnreadableBatchError(f"{path.name}: labels must be whole numbers from 0 to 255")
    return labels.astype("uint8")
