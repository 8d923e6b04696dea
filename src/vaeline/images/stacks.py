"""Arrays from files, as images with an axis of images and one of channels."""

import numpy as np
from jaxtyping import Shaped

from vaeline.images.errors import UnreadableImagesError
from vaeline.images.spec import COLOURS
from vaeline.images.types import AnyImages

NUMBERS = "buif"  # NumPy's kinds: true and false, whole numbers, floating-point numbers


def as_stack(array: Shaped[np.ndarray, "..."]) -> AnyImages:
    """Grey images (count, height, width), or images with channels, as (count, height, width, channels).

    Raises:
        UnreadableImagesError: the array has another shape, is empty, or holds no numbers.
    """
    if array.dtype.kind not in NUMBERS:
        raise UnreadableImagesError(f"images of {array.dtype}, expected numbers")
    stack = array[..., None] if array.ndim == 3 else array
    if stack.ndim != 4 or stack.shape[-1] not in COLOURS or not stack.size:
        raise UnreadableImagesError(
            f"images have shape {array.shape}, expected (count, height, width) or (count, height, width, 1 or 3)"
        )
    return stack


def as_stack_or_one(array: Shaped[np.ndarray, "..."]) -> AnyImages:
    """Images as in `as_stack`, or one image (height, width) or (height, width, channels), as (count, …, channels).

    An array of three axes is one image if its last axis has a length of 1 or 3.

    Raises:
        UnreadableImagesError: the array has another shape, or is empty.
    """
    is_one = array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in COLOURS)
    return as_stack(array[None] if is_one else array)
