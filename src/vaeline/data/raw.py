"""The files of `data/raw`: IDX files of training and of test images, whatever the source was.

A source's own validation split stands behind its training images, and `own_validation` in source.json counts it.
"""

from pathlib import Path
from typing import Any

import numpy as np

from vaeline.data.image_size import fill_in
from vaeline.data.masks import TEST_MASKS, TRAIN_MASKS
from vaeline.data.own_images import OwnImages
from vaeline.data.sources import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from vaeline.images.fitting import fit_bytes
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
    own_validation = {"own_validation": len(validation)} if len(validation) else {}
    return {**found.about, **own_validation, "classes": found.classes, "image": found.spec.model_dump()}


def fit_built_in(directory: Path, settings: ImageParams, spec: ImageSpec | None) -> dict[str, Any]:
    """Fit the images of a built-in data set if another size is wanted. Returns what source.json says of that."""
    own = ImageSpec.of_shape(read_idx_images(directory / TRAIN_IMAGES).shape)
    wanted = spec or fill_in(own, settings)
    if wanted == own:
        return {}
    for file in (directory / TRAIN_IMAGES, directory / TEST_IMAGES):
        if file.is_file():
            write_idx_images(file, fit_bytes(np.asarray(read_idx_images(file)), wanted))
    return {"image": wanted.model_dump()}
