"""Damage to images (noise, holes), and the median filter as a baseline of restoration.

Images are float32 (count, height, width, channels) in [0, 1].
"""

import numpy as np
from jaxtyping import Bool, Integer
from scipy.ndimage import median_filter

from vaeline.errors import VaelineError
from vaeline.images.spec import ImageSpec
from vaeline.images.types import Images

MEDIAN_SIDE = 3
HOLE_GREY = 0.5


def add_noise(images: Images, sigma: float, seed: int) -> Images:
    """Images with Gaussian noise of standard deviation `sigma`, cut off at 0 and 1."""
    noise = np.random.default_rng(seed).standard_normal(images.shape, dtype="float32")
    return np.clip(images + np.float32(sigma) * noise, 0, 1)


def box_mask(images: Images, side: int, seed: int) -> Bool[np.ndarray, "count height width 1"]:
    """A square hole of `side` pixels at a random place in each image's middle half: (count, height, width, 1), bool."""
    count, height, width, _ = images.shape
    side = min(side, height, width)
    rng = np.random.default_rng(seed)
    top = _places(rng, count, height, side)
    left = _places(rng, count, width, side)
    rows, columns = np.arange(height)[None, :, None], np.arange(width)[None, None, :]
    inside_rows = (rows >= top[:, None, None]) & (rows < top[:, None, None] + side)
    inside = inside_rows & (columns >= left[:, None, None]) & (columns < left[:, None, None] + side)
    return inside[..., None]


def cut_out(images: Images, missing: Bool[np.ndarray, "#count height width #channels"]) -> Images:
    """Images with their `missing` pixels grey, so that the hole shows on ink and on paper."""
    return np.where(missing, np.float32(HOLE_GREY), images)


def median_filtered(images: Images) -> Images:
    """Each channel of each pixel as the median of its 3×3 neighbourhood."""
    return median_filter(images, size=(1, MEDIAN_SIDE, MEDIAN_SIDE, 1), mode="nearest")


def _places(rng: np.random.Generator, count: int, length: int, side: int) -> Integer[np.ndarray, " {count}"]:
    center = (length - side) / 2
    spread = min(length // 8, center)
    return np.rint(center + rng.uniform(-spread, spread, count)).astype(int)


def rectangle(image: ImageSpec, x: int, y: int, width: int, height: int) -> Bool[np.ndarray, "rows columns 1"]:
    """A mask (height, width, 1), bool, that is True within a rectangle; x and y count pixels from the top left corner.

    Raises:
        VaelineError: the rectangle is empty, does not lie within the image, or covers all of it.
    """
    rows, columns = image.height, image.width
    inside = min(x, y) >= 0 and min(width, height) >= 1 and x + width <= columns and y + height <= rows
    if not inside or width * height == rows * columns:
        raise VaelineError(
            f"the mask {x},{y},{width},{height} must lie within an image {columns} pixels wide and {rows} high, "
            "and leave some of it"
        )
    mask = np.zeros((rows, columns, 1), bool)
    mask[y : y + height, x : x + width] = True
    return mask
