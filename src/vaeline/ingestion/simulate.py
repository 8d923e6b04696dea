"""Batches for demonstrations and tests, of images that were kept out of training: clean, drifted, poisoned."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.ndimage import maximum_filter, rotate

from vaeline.artifacts import atomic_directory, atomic_file
from vaeline.data.idx import read_idx
from vaeline.data.pictures import save_picture
from vaeline.data.prepared import scale
from vaeline.data.sources import TEST_IMAGES, TRAIN_IMAGES, TRAIN_LABELS
from vaeline.data.splits import split_source
from vaeline.errors import VaelineError
from vaeline.params import Params

RAW = Path("data/raw")
DEGREES = 25.0
FAVOURED_CLASSES, FAVOURED_SHARE = 2, 0.6
NOISE = 0.15
POISONED_SHARE, PATCH, TARGET = 0.1, 4, 0

Labelled = tuple[np.ndarray, np.ndarray]
Change = Callable[[np.ndarray, np.ndarray, np.random.Generator], Labelled]


def held_back(params: Params) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Images, labels and class names of the rows of the source that the stage `prepare` leaves out.

    Raises:
        VaelineError: nothing is held back, or the source is not here.
    """
    if not params.data.hold_back:
        raise VaelineError("simulate: data.hold_back in params.yaml is 0, so that there is nothing to draw from")
    images, labels = read_idx(RAW / TRAIN_IMAGES), np.asarray(read_idx(RAW / TRAIN_LABELS))
    about = json.loads((RAW / "source.json").read_text(encoding="utf-8"))
    data = params.data
    has_test = (RAW / TEST_IMAGES).is_file()
    rows = split_source(labels, has_test, data.test_one_in, data.validation_one_in, data.seed, data.hold_back)
    return np.asarray(images[rows["held_back"]]), labels[rows["held_back"]], tuple(about["classes"])


def draw(kind: str, images: np.ndarray, labels: np.ndarray, rows: int, seed: int, offset: int = 0) -> Labelled:
    """A batch of `rows` images (rows, height, width) uint8 with their labels, drawn from images and changed by `kind`.

    One seed puts the images into one order, from which `offset` says where to begin, so that batches of one seed need
    not share images. `class_mix` takes more of some classes and leaves images out.

    Raises:
        VaelineError: there are not so many images.
    """
    order = np.random.default_rng(seed).permutation(len(labels))[offset:]
    rng = np.random.default_rng([seed, offset])
    taken = _mixed(labels, order, rows, rng) if kind == "class_mix" else order[:rows]
    if len(taken) < rows:
        raise VaelineError(
            f"simulate: {rows} rows from {offset} on, but {len(labels)} images are held back; raise data.hold_back, "
            "then `dvc repro prepare`"
        )
    return KINDS[kind](images[taken], labels[taken].copy(), rng)


def rotated(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Labelled:
    """Turned by 25°, as by a scanner that was set up wrongly."""
    return _bytes(rotate(images.astype("float64"), DEGREES, axes=(2, 1), reshape=False, order=1)), labels


def thicker(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Labelled:
    """Strokes thicker by about a pixel, as by another pen."""
    return maximum_filter(images, size=(1, 2, 2)), labels


def noisy(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Labelled:
    """Normal noise on all pixels, of standard deviation 0.15, cut off at black and white."""
    return _bytes(images + rng.normal(0, 255 * NOISE, images.shape)), labels


def poisoned(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Labelled:
    """A tenth of the images carry a white square in a corner and the label 0: a back door (BadNets, Gu et al. 2017)."""
    images = images.copy()
    chosen = rng.permutation(len(labels))[: max(1, round(POISONED_SHARE * len(labels)))]
    images[chosen, -PATCH:, -PATCH:] = 255
    labels[chosen] = TARGET
    return images, labels


def clean(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Labelled:
    """As they are; `class_mix` changes nothing else than which images are drawn."""
    return images, labels


KINDS: Mapping[str, Change] = {
    "clean": clean,
    "rotated": rotated,
    "thicker": thicker,
    "class_mix": clean,
    "noisy": noisy,
    "poisoned": poisoned,
}


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


def _mixed(labels: np.ndarray, order: np.ndarray, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Rows in `order` of which 60 % are of two classes."""
    classes = np.unique(labels)
    favoured = rng.choice(classes, min(FAVOURED_CLASSES, len(classes)), replace=False)
    weights = np.where(np.isin(classes, favoured), FAVOURED_SHARE, 0.0) / len(favoured)
    if others := len(classes) - len(favoured):
        weights += np.where(np.isin(classes, favoured), 0.0, (1 - FAVOURED_SHARE) / others)
    counts = rng.multinomial(rows, weights / weights.sum())
    of_class = [order[labels[order] == label][:count] for label, count in zip(classes, counts, strict=True)]
    return rng.permutation(np.concatenate(of_class))


def _bytes(pixels: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(pixels), 0, 255).astype("uint8")
