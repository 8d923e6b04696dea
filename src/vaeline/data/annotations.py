"""What `data/raw` says of single images besides labels and masks, as IDX files: groups, and sizes of their pictures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Integer

from vaeline.images.idx import read_idx

TRAIN_GROUPS = "train-groups-idx1-int"
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
    if not (raw / TRAIN_SIZES).is_file():
        return None
    train = np.asarray(read_idx(raw / TRAIN_SIZES))
    test = np.asarray(read_idx(raw / TEST_SIZES)) if has_test else train
    return {name: _with_zeros(test if name == "test" else train, taken) for name, taken in rows.items()}


def _with_zeros(
    sizes: Integer[np.ndarray, "source 2"], rows: Integer[np.ndarray, " rows"]
) -> Integer[np.ndarray, "rows 2"]:
    found = np.zeros((len(rows), 2), "int32")
    known = rows < len(sizes)
    found[known] = sizes[rows[known]]
    return found
