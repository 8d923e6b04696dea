"""The files of `data/raw`: IDX files of training and of test images, whatever the source was.

A source's own validation split stands behind its training images, and `own_validation` in source.json counts it.
"""

from pathlib import Path
from typing import Any

import numpy as np

from vaeline.data.annotations import TEST_PICTURES, TEST_SIZES, TRAIN_GROUPS, TRAIN_PICTURES, TRAIN_SIZES
from vaeline.data.groups import group_images, search_distance
from vaeline.data.image_size import fill_in
from vaeline.data.masks import TEST_MASKS, TRAIN_MASKS
from vaeline.data.own_images import OwnImages, Reading
from vaeline.data.sources import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from vaeline.errors import VaelineError
from vaeline.images.fitting import fit_in_parts
from vaeline.images.idx import read_idx_images, write_idx, write_idx_images
from vaeline.images.spec import ImageSpec
from vaeline.params.data import ImageParams


def write_own_images(found: OwnImages, directory: Path) -> dict[str, Any]:
    """Write a user's images by their splits. Returns what source.json says of them."""
    validation = found.rows.get("validation", np.arange(0))
    rows = np.concatenate([found.rows["train"], validation])
    write_idx_images(directory / TRAIN_IMAGES, found.images, rows)
    write_idx(directory / TRAIN_LABELS, found.labels, rows)
    if found.masks is not None:
        write_idx_images(directory / TRAIN_MASKS, found.masks, rows)
    if "test" in found.rows:
        write_idx_images(directory / TEST_IMAGES, found.images, found.rows["test"])
        write_idx(directory / TEST_LABELS, found.labels, found.rows["test"])
        if found.masks is not None:
            write_idx_images(directory / TEST_MASKS, found.masks, found.rows["test"])
    if found.source_sizes is not None:
        write_idx(directory / TRAIN_SIZES, found.source_sizes[rows])
        if "test" in found.rows:
            write_idx(directory / TEST_SIZES, found.source_sizes[found.rows["test"]])
    if found.pictures is not None:
        write_idx(directory / TRAIN_PICTURES, found.pictures[rows])
        if "test" in found.rows:
            write_idx(directory / TEST_PICTURES, found.pictures[found.rows["test"]])
    if found.groups is not None:
        write_idx(directory / TRAIN_GROUPS, found.groups[rows])
    own_validation = {"own_validation": len(validation)} if len(validation) else {}
    return {**found.about, **own_validation, "classes": found.classes, "image": found.spec.model_dump()}


def group_built_in(directory: Path, reading: Reading) -> list[str]:
    """Write the groups of duplicates among the training images of a built-in data set, where they are wanted.

    Returns sentences for the user.

    Raises:
        VaelineError: the user names groups; these images have neither names nor columns.
    """
    if reading.groups:
        raise VaelineError(f"data.groups {reading.groups!r}: built-in data sets have no groups; set it to ''")
    distance = search_distance(reading.near_duplicates, is_own=False)
    if distance is None:
        return []
    images = read_idx_images(directory / TRAIN_IMAGES)
    groups, _, notes = group_images(images, {"train": np.arange(len(images))}, None, distance)
    if groups is not None:
        write_idx(directory / TRAIN_GROUPS, groups)
    return notes


def fit_built_in(directory: Path, settings: ImageParams, spec: ImageSpec | None) -> dict[str, Any]:
    """Fit the images of a built-in data set if another size is wanted. Returns what source.json says of that."""
    own = ImageSpec.of_shape(read_idx_images(directory / TRAIN_IMAGES).shape)
    wanted = spec or fill_in(own, settings)
    if wanted == own:
        return {}
    for file in (directory / TRAIN_IMAGES, directory / TEST_IMAGES):
        if file.is_file():
            write_idx_images(file, fit_in_parts(read_idx_images(file), wanted))
    return {"image": wanted.model_dump()}
