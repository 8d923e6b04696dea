"""Images that must be read in parts."""

import numpy as np

from vaeline.images.lazy import LazyImages


def in_parts(images: np.ndarray, most: int) -> LazyImages:
    """The images (count, height, width, channels) uint8; a test fails that reads more than `most` of them at once."""

    def read(rows: np.ndarray) -> np.ndarray:
        assert len(rows) <= most, f"{len(rows)} images were read at once"
        return images[rows]

    return LazyImages(images.shape, read, "uint8")
