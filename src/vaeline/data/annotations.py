"""What `data/raw` says of single images besides labels and masks, as IDX files: groups, pictures and their sizes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Integer

from vaeline.images.idx import read_idx

TRAIN_GROUPS = "train-groups-idx1-int"
TRAIN_PICTURES, TEST_PICTURES = "train-pictures-idx1-int", "t10k-pictures-idx1-int"
TRAIN_SIZES, TEST_SIZES = "train-sizes-idx2-int", "t10k-sizes-idx2-int"


def read_groups(raw: Path) -> Integer[np.ndarray, " count"] | None:
    """The number of each training image's group (count,); None if every image has its own."""
    file = raw / TRAIN_GROUPS
    return np.asarray(read_idx(file)) if file.is_file() else None


def read_source_sizes(
    raw: Path, rows: Mapping[str, Integer[np.ndarray, " _"]], has_test: bool
) -> dict[str, Integer[np.ndarray, "_ 2"]] | None:
    """Height and width in pixels of the picture behind each row of a split, 0 for rows of batches.

    `rows` of `test` are those of the source's test images if it has any; all others are rows of its training images.
    None if the source is no set of pictures.
    """
    return _read_rows(raw, (TRAIN_SIZES, TEST_SIZES), rows, has_test, 0)


def read_pictures(
    raw: Path, rows: Mapping[str, Integer[np.ndarray, " _"]], has_test: bool
) -> dict[str, Integer[np.ndarray, " _"]] | None:
    """The number of the picture of which each row of a split is a tile, −1 for rows of batches.

    `rows` are those of `read_source_sizes`. None if pictures are not cut into tiles.
    """
    return _read_rows(raw, (TRAIN_PICTURES, TEST_PICTURES), rows, has_test, -1)


def _read_rows(
    raw: Path, files: tuple[str, str], rows: Mapping[str, Integer[np.ndarray, " _"]], has_test: bool, missing: int
) -> dict[str, Integer[np.ndarray, "..."]] | None:
    if not (raw / files[0]).is_file():
        return None
    train = np.asarray(read_idx(raw / files[0]))
    test = np.asarray(read_idx(raw / files[1])) if has_test else train
    return {name: _taken(test if name == "test" else train, taken, missing) for name, taken in rows.items()}


def _taken(
    values: Integer[np.ndarray, "source ..."], rows: Integer[np.ndarray, " rows"], missing: int
) -> Integer[np.ndarray, "rows ..."]:
    """The values of these rows; `missing` for rows that the source does not have."""
    found = np.full((len(rows), *values.shape[1:]), missing, "int32")
    known = rows < len(values)
    found[known] = values[rows[known]]
    return found
