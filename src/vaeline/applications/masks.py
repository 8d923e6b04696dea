"""Which pixels of an image are missing, as people say it."""

import numpy as np

from vaeline.errors import VaelineError


def rectangle(shape: tuple[int, int], x: int, y: int, width: int, height: int) -> np.ndarray:
    """A mask (height, width), bool, that is True within a rectangle; x and y count pixels from the top left corner.

    Raises:
        VaelineError: the rectangle is empty, does not lie within the image, or leaves nothing of it.
    """
    rows, columns = shape
    inside = min(x, y) >= 0 and min(width, height) >= 1 and x + width <= columns and y + height <= rows
    if not inside or width * height == rows * columns:
        raise VaelineError(
            f"the mask {x},{y},{width},{height} must lie within an image {columns} pixels wide and {rows} high, "
            "and leave some of it"
        )
    mask = np.zeros(shape, bool)
    mask[y : y + height, x : x + width] = True
    return mask
