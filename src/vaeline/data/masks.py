"""Masks of defective pictures: 255 where a picture is defective. They lie beside the images in `data/raw`."""

from pathlib import Path

import numpy as np
from jaxtyping import Integer

from vaeline.images.idx import read_idx_images
from vaeline.images.lazy import LazyImages

TRAIN_MASKS, TEST_MASKS = "train-masks-idx3-ubyte", "t10k-masks-idx3-ubyte"


def read_test_masks(raw: Path, rows: Integer[np.ndarray, " count"], has_test: bool) -> LazyImages | None:
    """The masks (count, height, width, 1) of test images, or None if the source has none.

    `rows` are rows of the source's test images if it has any, or else of its training images.
    """
    file = raw / (TEST_MASKS if has_test else TRAIN_MASKS)
    return LazyImages.stored([read_idx_images(file)]).take(rows) if file.is_file() else None
