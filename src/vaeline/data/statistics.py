"""A table of statistics of each image, with its duplicates."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float64, Integer
from scipy.stats import entropy

from vaeline.data.grain import count_specks, find_dead_pixels
from vaeline.data.label_noise import judge_labels
from vaeline.data.near_duplicates import Groups, find_duplicates
from vaeline.data.neighbours import AnyParts, are_comparable, find_near_copies
from vaeline.data.prepared import Split
from vaeline.images.arrays import luminance, round_levels
from vaeline.images.digests import image_digest
from vaeline.images.spec import ImageSpec

NUMBERS_AT_A_TIME = 4096 * 28 * 28
MOST_ROWS_AT_A_TIME = 4096
ROWS_OF_A_GROUP, ROWS_OF_A_READING = 2**17, 2**15
INK_LEVEL = 127
BORDER = 2
LEVELS = 256
DEAD_SHOWN = 5
GRAIN = ("specks",)
JUDGED = ("doubt", "likely_label")
OF_ALL = ("copies", "leaks", "alike", "alike_leaks", *JUDGED)
OF_SPLIT = ("dead", "dead_at")
"""Statistics of all families: GRAIN of an image, OF_ALL of an image among all, OF_SPLIT of a whole split.

JUDGED are NaN where a label was not judged.
"""
COLOURS = ("red", "green", "blue")

Luminances: TypeAlias = Float64[np.ndarray, "count height width"]
Means: TypeAlias = Float64[np.ndarray, " count"]


@dataclass(frozen=True)
class Family:
    """The statistics of one kind of images, by their names in the table.

    every_image: each image has these. average: those whose mean over images describes the data. by_class: those whose
    mean describes a class. of_source: those of the picture that an image was made from; NaN where it is unknown.
    pictures: whether images that look alike are found as pictures are (`find_duplicates`), else as drawings
    (`find_near_copies`).
    """

    every_image: tuple[str, ...]
    average: tuple[str, ...]
    by_class: tuple[str, ...]
    of_source: tuple[str, ...] = ()
    pictures: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table."""
        about = ("image_id", "split", "source_index", "label", "height", "width", "channels", "dtype", "nulls")
        return (*about, *self.every_image, *GRAIN, *self.of_source, "content", *OF_ALL, *OF_SPLIT)


_INK_AVERAGES = ("mean", "std", "ink", "border", "roughness", "elongation")
_GREY_AVERAGES = ("mean", "std", "contrast", "sharpness", "entropy", "border")
_OF_CHANNELS = tuple(f"{statistic}_{colour}" for statistic in ("mean", "std") for colour in COLOURS)
_OF_SOURCE = ("source_height", "source_width", "proportions")

INK = Family(
    ("min", "max", "mean", "std", "ink", "border", "roughness", "center_x", "center_y", "elongation"),
    _INK_AVERAGES,
    ("mean", "std", "ink", "elongation"),
)
GREY = Family(("min", "max", *_GREY_AVERAGES), _GREY_AVERAGES, ("mean", "std", "entropy"), _OF_SOURCE, pictures=True)
COLOUR = Family(
    ("min", "max", *_GREY_AVERAGES, "saturation", *_OF_CHANNELS),
    (*_GREY_AVERAGES, "saturation", *_OF_CHANNELS),
    ("mean", "std", "entropy", "saturation"),
    _OF_SOURCE,
    pictures=True,
)
FAMILIES = (INK, GREY, COLOUR)


def family_of(image: ImageSpec) -> Family:
    """The statistics for images of this kind: those of strokes for ink, else those of grey or colour pictures."""
    if image.is_ink:
        return INK
    return COLOUR if image.channels == len(COLOURS) else GREY


def image_statistics(splits: Mapping[str, Split], family: Family = INK) -> pd.DataFrame:
    """One row for each image of every split. Images are read in parts.

    Columns of all families: image_id ("train/7"), split, source_index, label, height, width, channels, dtype, nulls
    (number of NaN values), content (hash), copies (number of rows with this content in the same split, this row
    included), leaks (number of other splits with this content), alike (number of rows in the same split that look like
    this one, this row included; see `find_duplicates` and, for INK, `find_near_copies`), alike_leaks (number of other
    splits with such rows), specks (see `count_specks`), doubt and likely_label (see `judge_labels`), dead (number of
    dead pixels of the split, see `find_dead_pixels`) and dead_at (where some of them are). Of the luminance: min, max,
    mean, std, border (mean of the outer two rows and columns on each side).

    Only INK: ink (share of pixels above half), roughness (mean difference of neighbours, divided by the mean), center_x
    and center_y (centre of mass of the ink, in pixels from the middle), elongation (log of vertical over horizontal
    spread of the ink).

    GREY and COLOUR: contrast (difference of the 95 % and 5 % quantiles), sharpness (standard deviation of the
    Laplacian; Pech-Pacheco et al. 2000 use its square), entropy (of the levels, in bits), source_height and
    source_width (of the picture that was read, in pixels), proportions (width divided by height).

    Only COLOUR: saturation (mean of (max − min) / max over the colours of a pixel), and the mean and std of red, green
    and blue.
    """
    return pd.concat(statistics_parts(splits, family), ignore_index=True)


def statistics_parts(splits: Mapping[str, Split], family: Family) -> Iterator[pd.DataFrame]:
    """The table of `image_statistics` in parts, so that memory grows by about 300 bytes an image only."""
    images, labels = [split.images for split in splits.values()], [split.labels for split in splits.values()]
    contents = np.fromiter((int.from_bytes(image_digest(image)[:8], "big") for part in images for image in part), "u8")
    columns = _count_repeats(images, contents, family) | dict(zip(JUDGED, judge_labels(images, labels), strict=True))
    first = 0
    for name, split in splits.items():
        dead = np.argwhere(find_dead_pixels(split.images))
        of_split = dict(zip(OF_SPLIT, (len(dead), _places(dead)), strict=True))
        step = min(MOST_ROWS_AT_A_TIME, max(1, NUMBERS_AT_A_TIME // int(np.prod(split.images.shape[1:]))))
        for start in range(0, len(split.images), step):
            part = _statistics(name, split, slice(start, start + step), family)
            taken = slice(first, first + len(part))
            of_all = {column: values[taken] for column, values in columns.items()}
            content = [f"{number:016x}" for number in contents[taken]]
            yield part.assign(content=content, **of_all, **of_split)[list(family.columns)]
            first += len(part)


def write_statistics(parts: Iterable[pd.DataFrame], path: Path) -> None:
    """Write the parts of a table as one Parquet file."""
    tables = _gathered(parts)
    first = next(tables)
    with pq.ParquetWriter(path, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)


def read_statistics(path: Path) -> Iterator[pd.DataFrame]:
    """The parts of a table that `write_statistics` has written."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS_OF_A_READING):
            yield batch.to_pandas()


def _gathered(parts: Iterable[pd.DataFrame]) -> Iterator[pa.Table]:
    """The parts, several together: a row group of a Parquet file should be large."""
    waiting: list[pa.Table] = []
    for part in parts:
        waiting.append(pa.Table.from_pandas(part, preserve_index=False))  # pandas needs three times the memory
        if sum(map(len, waiting)) >= ROWS_OF_A_GROUP:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _count_repeats(
    images: AnyParts, contents: Integer[np.ndarray, " _"], family: Family
) -> dict[str, Integer[np.ndarray, " _"]]:
    """For each row of all splits, the columns copies, leaks, alike and alike_leaks."""
    splits = np.repeat(np.arange(len(images)), [len(part) for part in images])
    equal = np.unique(contents, return_inverse=True)[1]
    alike = equal  # images of several sizes or of another type, which the profile refuses, are compared only exactly
    if are_comparable(images):
        rows = np.arange(len(splits))
        alike = find_duplicates(images, rows).alike if family.pictures else find_near_copies(images, equal)
    found = (*_repeats(splits, equal), *_repeats(splits, alike))
    return dict(zip(("copies", "leaks", "alike", "alike_leaks"), found, strict=True))


def _repeats(splits: Groups, groups: Groups) -> tuple[Groups, Groups]:
    """For each row, the number of rows of its group in its split, and of other splits that have rows of its group."""
    number = int(splits.max()) + 1
    keys, inverse, copies = np.unique(groups * number + splits, return_inverse=True, return_counts=True)
    return copies[inverse], np.bincount(keys // number)[groups] - 1


def _statistics(name: str, split: Split, rows: slice, family: Family) -> pd.DataFrame:
    images = np.asarray(split.images[rows])
    pixels = images.astype("float64")
    if images.dtype.kind == "f":
        pixels = np.nan_to_num(pixels)
    greys = luminance(pixels)
    columns = {
        "image_id": [f"{name}/{row}" for row in range(rows.start, rows.start + len(images))],
        "split": name,
        "source_index": split.indices[rows],
        "label": split.labels[rows].astype("int64"),
        **dict(zip(("height", "width", "channels"), images.shape[1:], strict=True)),
        "dtype": str(images.dtype),
        "nulls": np.isnan(images).sum(axis=(1, 2, 3)) if images.dtype.kind == "f" else 0,
        "min": greys.min(axis=(1, 2)),
        "max": greys.max(axis=(1, 2)),
        "mean": greys.mean(axis=(1, 2)),
        "std": greys.std(axis=(1, 2)),
        "border": _border(greys),
        "specks": count_specks(images if images.dtype == np.uint8 else pixels),
    }
    columns |= _of_ink(greys) if family == INK else _of_pictures(greys) | _of_sources(split, rows)
    return pd.DataFrame(columns | (_of_colours(pixels) if family == COLOUR else {}))


def _border(greys: Luminances) -> Means:
    inner = greys[:, BORDER:-BORDER, BORDER:-BORDER]
    border_pixels = greys[0].size - inner[0].size
    return (greys.sum(axis=(1, 2)) - inner.sum(axis=(1, 2))) / border_pixels


def _places(pixels: Integer[np.ndarray, "number 3"]) -> str:
    """Where pixels are, as rows and columns; the first few of many."""
    shown = ", ".join(f"row {row} column {column}" for row, column, _ in pixels[:DEAD_SHOWN].tolist())
    return f"{shown} …" if len(pixels) > DEAD_SHOWN else shown


def _of_ink(greys: Luminances) -> dict[str, Means]:
    mean = greys.mean(axis=(1, 2))
    mass = greys / np.maximum(greys.sum(axis=(1, 2), keepdims=True), 1e-9)
    height, width = greys.shape[1:]
    y, x = np.indices((height, width)) - (np.array([height, width]) - 1).reshape(2, 1, 1) / 2
    center_y, center_x, square_y, square_x = (np.einsum("nij,ij->n", mass, place) for place in (y, x, y**2, x**2))
    spread_y, spread_x = square_y - center_y**2, square_x - center_x**2
    neighbours = _mean_step(greys, 1) + _mean_step(greys, 2)
    return {
        "ink": (greys > INK_LEVEL).mean(axis=(1, 2)),
        "roughness": neighbours / np.maximum(mean, 1e-9),
        "center_x": center_x,
        "center_y": center_y,
        "elongation": np.log((spread_y + 1e-3) / (spread_x + 1e-3)),
    }


def _mean_step(greys: Luminances, axis: int) -> Means:
    steps = np.diff(greys, axis=axis)
    return np.abs(steps, out=steps).mean(axis=(1, 2))


def _of_pictures(greys: Luminances) -> dict[str, Means]:
    low, high = np.quantile(greys, (0.05, 0.95), axis=(1, 2))
    inner = greys[:, 1:-1, 1:-1]
    around = greys[:, :-2, 1:-1] + greys[:, 2:, 1:-1] + greys[:, 1:-1, :-2] + greys[:, 1:-1, 2:]
    return {
        "contrast": high - low,
        "sharpness": (around - 4 * inner).std(axis=(1, 2)),
        "entropy": _entropy(greys),
    }


def _entropy(greys: Luminances) -> Means:
    """The Shannon entropy of the levels of each image, in bits."""
    numbered = round_levels(greys).reshape(len(greys), -1) + LEVELS * np.arange(len(greys))[:, None]
    counts = np.bincount(numbered.ravel(), minlength=LEVELS * len(greys)).reshape(-1, LEVELS)
    return entropy(counts, base=2, axis=1)


def _of_colours(pixels: Float64[np.ndarray, "count height width channels"]) -> dict[str, Means]:
    pixels = np.broadcast_to(pixels, (*pixels.shape[:3], len(COLOURS)))  # grey images have three equal colours
    highest = pixels.max(axis=3)
    means, deviations = pixels.mean(axis=(1, 2)), pixels.std(axis=(1, 2))
    return {
        "saturation": ((highest - pixels.min(axis=3)) / np.maximum(highest, 1e-9)).mean(axis=(1, 2)),
        **{f"mean_{colour}": means[:, channel] for channel, colour in enumerate(COLOURS)},
        **{f"std_{colour}": deviations[:, channel] for channel, colour in enumerate(COLOURS)},
    }


def _of_sources(split: Split, rows: slice) -> dict[str, Means]:
    count = len(split.labels[rows])
    sizes = np.zeros((count, 2)) if split.source_sizes is None else split.source_sizes[rows].astype("float64")
    height, width = np.where(sizes > 0, sizes, np.nan).T
    return {"source_height": height, "source_width": width, "proportions": width / height}
