"""Stage `prepare`: train, validation and test splits as memory-mappable arrays in `data/prepared`."""

import json
from pathlib import Path

import numpy as np

from vaeline.data.idx import read_idx
from vaeline.data.prepared import write_prepared
from vaeline.data.sources import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from vaeline.data.splits import hold_out
from vaeline.errors import run_stage
from vaeline.params import read_params

RAW = Path("data/raw")
PREPARED = Path("data/prepared")


def main() -> None:
    params = read_params()
    about = json.loads((RAW / "source.json").read_text(encoding="utf-8"))
    images, labels = read_idx(RAW / TRAIN_IMAGES), np.asarray(read_idx(RAW / TRAIN_LABELS))
    rows = np.arange(len(labels))
    if (RAW / TEST_IMAGES).is_file():
        test_images, test_labels = read_idx(RAW / TEST_IMAGES), np.asarray(read_idx(RAW / TEST_LABELS))
        test_rows = np.arange(len(test_labels))
    else:
        test_images, test_labels = images, labels
        rows, test_rows = hold_out(labels, params.data.test_one_in, params.data.seed, "test")
    train, validation = hold_out(labels[rows], params.data.validation_one_in, params.data.seed, "validation")
    splits = {
        "train": (images, labels, rows[train]),
        "validation": (images, labels, rows[validation]),
        "test": (test_images, test_labels, test_rows),
    }
    write_prepared(PREPARED, splits, {**about, "image_shape": images.shape[1:], "split_seed": params.data.seed})
    counts = ", ".join(f"{len(taken):,} {name}" for name, (_, _, taken) in splits.items())
    print(f"prepare: {about['title']}: {counts}")


if __name__ == "__main__":
    run_stage(main)
