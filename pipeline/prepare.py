"""Stage `prepare`: train, validation and test splits as memory-mappable arrays in `data/prepared`.

Accepted batches of the same data set are added to train and validation. The test split comes from the source alone.
"""

from pathlib import Path

import numpy as np

from vaeline.artifacts import scratch_beside
from vaeline.data.accepted import fetch_rows, merge, read_records, unpack_rows
from vaeline.data.annotations import read_groups, read_pictures, read_source_sizes
from vaeline.data.groups import search_distance
from vaeline.data.masks import read_test_masks
from vaeline.data.prepared import PICTURES, SOURCE_SIZES, SourceRows, write_prepared
from vaeline.data.sources import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from vaeline.data.splits import split_source
from vaeline.errors import run_stage
from vaeline.images.idx import read_idx, read_idx_images
from vaeline.own_files import read_json
from vaeline.params.base import read_section
from vaeline.params.data import DataParams

RAW = Path("data/raw")
PREPARED = Path("data/prepared")
STATE = Path(".vaeline")


def main() -> None:
    data = read_section("data", DataParams)
    about = read_json(RAW / "source.json")
    images, labels = read_idx_images(RAW / TRAIN_IMAGES), np.asarray(read_idx(RAW / TRAIN_LABELS))
    has_test = (RAW / TEST_IMAGES).is_file()
    good = about["classes"].index(about["good"]) if "good" in about else None
    rows = split_source(
        labels,
        has_test,
        test_one_in=data.test_one_in,
        validation_one_in=data.validation_one_in,
        seed=data.seed,
        hold_back=data.hold_back,
        own_validation=about.get("own_validation", 0),
        good=good,
        groups=read_groups(RAW),
    )
    splits: dict[str, SourceRows] = {name: (images, labels, rows[name]) for name in ("train", "validation")}
    if has_test:
        test_images, test_labels = read_idx_images(RAW / TEST_IMAGES), np.asarray(read_idx(RAW / TEST_LABELS))
        splits["test"] = (test_images, test_labels, np.arange(len(test_labels)))
    else:
        splits["test"] = (images, labels, rows["test"])
    masks = read_test_masks(RAW, splits["test"][2], has_test)
    about["split_seed"] = data.seed
    if len(rows["held_back"]):
        about["held_back"] = len(rows["held_back"])
    labelled = [record for record in read_records(about["dataset"]) if record["labelled"]]
    with scratch_beside(STATE / "batches") as folder:
        if labelled:
            fetch_rows(labelled)
            batches = [(record["id"], unpack_rows(record, folder)) for record in labelled]
            distance = search_distance(data.near_duplicates, is_own="duplicates" in about)
            splits, about["batches"] = merge(splits, batches, data.validation_one_in, good, distance)
        taken = {name: rows for name, (_, _, rows) in splits.items()}
        annotations = {
            SOURCE_SIZES: read_source_sizes(RAW, taken, has_test),
            PICTURES: read_pictures(RAW, taken, has_test),
        }
        write_prepared(PREPARED, splits, about, masks, annotations)
    counts = ", ".join(f"{len(taken):,} {name}" for name, (_, _, taken) in splits.items())
    joined = f", with {len(labelled)} accepted batches" if labelled else ""
    print(f"prepare: {about['title']}: {counts}{joined}")


if __name__ == "__main__":
    run_stage(main)
