"""Arrays of images (…, height, width, channels): uint8 on disk, float32 in [0, 1] in models."""

import numpy as np


def to_unit(images: np.ndarray) -> np.ndarray:
    """Pixels of any shape from uint8 0–255 to float32 0–1."""
    return images.astype("float32") / 255


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Pixels of any shape from floats 0–1 to the nearest of 0–255, uint8."""
    return np.rint(images * 255).astype("uint8")


def drawable(image: np.ndarray) -> np.ndarray:
    """An image (height, width, channels) as Pillow and Matplotlib take it: (height, width) where it is grey."""
    return image[..., 0] if image.shape[-1] == 1 else image


def tile(grid: np.ndarray) -> np.ndarray:
    """A grid of images (rows, columns, height, width, channels) as one image; the first row is the top one."""
    rows, columns, height, width, channels = grid.shape
    return grid.swapaxes(1, 2).reshape(rows * height, columns * width, channels)
