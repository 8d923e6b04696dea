"""A table of statistics of each image, with its duplicates."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float64, Integer, Shaped
from scipy.stats import entropy

from vaeline.data.near_duplicates import Groups, find_duplicates
from vaeline.data.prepared import Split
from vaeline.images.arrays import luminance, round_levels
from vaeline.images.digests import image_digest
from vaeline.images.lazy import LazyImages
from vaeline.images.spec import ImageSpec

NUMBERS_AT_A_TIME = 4096 * 28 * 28
MOST_ROWS_AT_A_TIME = 4096
ROWS_OF_A_GROUP, ROWS_OF_A_READING = 2**17, 2**15
INK_LEVEL = 127
BORDER = 2
LEVELS = 256
COLOURS = ("red", "green", "blue")

Luminances: TypeAlias = Float64[np.ndarray, "count height width"]
Means: TypeAlias = Float64[np.ndarray, " count"]


@dataclass(frozen=True)
class Family:
    """The statistics of one kind of images, by their names in the table.

    every_image: each image has these. average: those whose mean over images describes the data. by_class: those whose
    mean describes a class. of_source: those of the picture that an image was made from; NaN where it is unknown.
    alike: whether images that look alike are counted, not only equal ones.
    """

    every_image: tuple[str, ...]
    average: tuple[str, ...]
    by_class: tuple[str, ...]
    of_source: tuple[str, ...] = ()
    alike: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table."""
        about = ("image_id", "split", "source_index", "label", "height", "width", "channels", "dtype", "nulls")
        alike = ("alike", "alike_leaks") if self.alike else ()
        return (*about, *self.every_image, *self.of_source, "content", "copies", "leaks", *alike)


_INK_AVERAGES = ("mean", "std", "ink", "border", "roughness", "elongation")
_GREY_AVERAGES = ("mean", "std", "contrast", "sharpness", "entropy", "border")
_OF_CHANNELS = tuple(f"{statistic}_{colour}" for statistic in ("mean", "std") for colour in COLOURS)
_OF_SOURCE = ("source_height", "source_width", "proportions")

INK = Family(
    ("min", "max", "mean", "std", "ink", "border", "roughness", "center_x", "center_y", "elongation"),
    _INK_AVERAGES,
    ("mean", "std", "ink", "elongation"),
)
GREY = Family(("min", "max", *_GREY_AVERAGES), _GREY_AVERAGES, ("mean", "std", "entropy"), _OF_SOURCE, alike=True)
COLOUR = Family(
    ("min", "max", *_GREY_AVERAGES, "saturation", *_OF_CHANNELS),
    (*_GREY_AVERAGES, "saturation", *_OF_CHANNELS),
    ("mean", "std", "entropy", "saturation"),
    _OF_SOURCE,
    alike=True,
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
    included) and leaks (number of other splits with this content). Of the luminance: min, max, mean, std, border (mean
    of the outer two rows and columns on each side).

    Only INK: ink (share of pixels above half), roughness (mean difference of neighbours, divided by the mean), center_x
    and center_y (centre of mass of the ink, in pixels from the middle), elongation (log of vertical over horizontal
    spread of the ink).

    GREY and COLOUR: contrast (difference of the 95 % and 5 % quantiles), sharpness (standard deviation of the
    Laplacian; Pech-Pacheco et al. 2000 use its square), entropy (of the levels, in bits), source_height and
    source_width (of the picture that was read, in pixels), proportions (width divided by height), alike (number of rows
    in the same split that look like this one, this row included; see `find_duplicates`), alike_leaks (number of other
    splits with such rows).

    Only COLOUR: saturation (mean of (max − min) / max over the colours of a pixel), and the mean and std of red, green
    and blue.
    """
    return pd.concat(statistics_parts(splits, family), ignore_index=True)


def statistics_parts(splits: Mapping[str, Split], family: Family) -> Iterator[pd.DataFrame]:
    """The table of `image_statistics` in parts, so that memory grows by about 100 bytes an image only."""
    images = [split.images for split in splits.values()]
    repeats = _count_repeats(images, family.alike)
    first = 0
    for name, split in splits.items():
        step = min(MOST_ROWS_AT_A_TIME, max(1, NUMBERS_AT_A_TIME // int(np.prod(split.images.shape[1:]))))
        for start in range(0, len(split.images), step):
            part = _statistics(name, split, slice(start, start + step), family)
            counts = {column: values[first : first + len(part)] for column, values in repeats.items()}
            yield part.assign(**counts)[list(family.columns)]
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
    images: Sequence[Shaped[np.ndarray | LazyImages, "_ _ _ _"]], alike: bool
) -> dict[str, Integer[np.ndarray, " _"]]:
    """For each row of all splits, the columns copies, leaks and, if they are wanted, alike and alike_leaks."""
    splits = np.repeat(np.arange(len(images)), [len(part) for part in images])
    if alike and len({(part.shape[1:], part.dtype) for part in images}) == 1 and images[0].dtype == np.uint8:
        found = find_duplicates(images, np.arange(len(splits)))
        equal, like = found.equal, found.alike
    else:  # images of several sizes or of another type, which the profile refuses, are compared only exactly
        equal = like = np.unique([image_digest(image)[:8] for part in images for image in part], return_inverse=True)[1]
    columns = dict(zip(("copies", "leaks"), _repeats(splits, equal), strict=True))
    return columns | (dict(zip(("alike", "alike_leaks"), _repeats(splits, like), strict=True)) if alike else {})


def _repeats(splits: Groups, groups: Groups) -> tuple[Groups, Groups]:
    """For each row, the number of rows of its group in its split, and of other splits that have rows of its group."""
    number = int(splits.max()) + 1
    keys, inverse, copies = np.unique(groups * number + splits, return_inverse=True, return_counts=True)
    return copies[inverse], np.bincount(keys // number)[groups] - 1


def _statistics(name: str, split: Split, rows: slice, family: Family) -> pd.DataFrame:
    images = np.asarray(split.images[rows])
    pixels = np.nan_to_num(images.astype("float64"))
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
        "content": [image_digest(image).hex()[:16] for image in images],
    }
    columns |= _of_ink(greys) if family == INK else _of_pictures(greys) | _of_sources(split, rows)
    return pd.DataFrame(columns | (_of_colours(pixels) if family == COLOUR else {}))


def _border(greys: Luminances) -> Means:
    inner = greys[:, BORDER:-BORDER, BORDER:-BORDER]
    border_pixels = greys[0].size - inner[0].size
    return (greys.sum(axis=(1, 2)) - inner.sum(axis=(1, 2))) / border_pixels


def _of_ink(greys: Luminances) -> dict[str, Means]:
    mean = greys.mean(axis=(1, 2))
    mass = greys / np.maximum(greys.sum(axis=(1, 2), keepdims=True), 1e-9)
    height, width = greys.shape[1:]
    y, x = np.indices((height, width)) - (np.array([height, width]) - 1).reshape(2, 1, 1) / 2
    center_y, center_x = (mass * y).sum(axis=(1, 2)), (mass * x).sum(axis=(1, 2))
    spread_y = (mass * y**2).sum(axis=(1, 2)) - center_y**2
    spread_x = (mass * x**2).sum(axis=(1, 2)) - center_x**2
    neighbours = np.abs(np.diff(greys, axis=1)).mean(axis=(1, 2)) + np.abs(np.diff(greys, axis=2)).mean(axis=(1, 2))
    return {
        "ink": (greys > INK_LEVEL).mean(axis=(1, 2)),
        "roughness": neighbours / np.maximum(mean, 1e-9),
        "center_x": center_x,
        "center_y": center_y,
        "elongation": np.log((spread_y + 1e-3) / (spread_x + 1e-3)),
    }


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
