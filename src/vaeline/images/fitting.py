"""Arrays as files hold them, made into images of a given size."""

import numpy as np
from PIL import Image

from vaeline.images.arrays import drawable, to_uint8, to_unit
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.pictures import fit_picture
from vaeline.images.spec import COLOURS, ImageSpec


def as_stack(array: np.ndarray) -> np.ndarray:
    """Grey images (count, height, width), or images with channels, as (count, height, width, channels).

    Raises:
        UnreadableImagesError: the array has another shape, or is empty.
    """
    stack = array[..., None] if array.ndim == 3 else array
    if stack.ndim != 4 or stack.shape[-1] not in COLOURS or not stack.size:
        raise UnreadableImagesError(
            f"images have shape {array.shape}, expected (count, height, width) or (count, height, width, 1 or 3)"
        )
    return stack


def as_stack_or_one(array: np.ndarray) -> np.ndarray:
    """What `as_stack` takes, or one image (height, width) or (height, width, channels), as a stack.

    An array of three axes is one image where the last one has a length of 1 or 3.

    Raises:
        UnreadableImagesError: the array has another shape, or is empty.
    """
    is_one = array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in COLOURS)
    return as_stack(array[None] if is_one else array)


def fit_images(images: np.ndarray, spec: ImageSpec) -> np.ndarray:
    """Images (count, height, width, channels) in the size `spec`: uint8 from uint8, else float32 in [0, 1].

    Images of another size or number of channels are fitted like pictures, floats among them in 256 levels.

    Raises:
        UnreadableImagesError: the values are neither uint8 nor floats from 0 to 1.
    """
    images = _checked(images)
    if images.shape[1:] == spec.shape:
        return images
    is_byte = images.dtype == np.uint8
    levels = images if is_byte else to_uint8(images)
    fitted = np.stack([fit_picture(Image.fromarray(drawable(image)), spec) for image in levels])
    return fitted if is_byte else to_unit(fitted)


def inverted(images: np.ndarray) -> np.ndarray:
    """Dark ink on light paper as light ink on black, uint8 or float32. Raises UnreadableImagesError as `fit_images`."""
    images = _checked(images)
    return 255 - images if images.dtype == np.uint8 else 1 - images


def fit_bytes(images: np.ndarray, spec: ImageSpec) -> np.ndarray:
    """Images (count, height, width, channels) in the size `spec`, uint8 from uint8 alone, as they are kept on disk.

    Raises:
        UnreadableImagesError: the values are not uint8.
    """
    if images.dtype != np.uint8:
        raise UnreadableImagesError(
            f"images hold {images.dtype} values from {images.min()} to {images.max()}; save uint8 levels 0 to 255"
        )
    return fit_images(images, spec)


def _checked(images: np.ndarray) -> np.ndarray:
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise UnreadableImagesError(f"holds {images.dtype} values; save uint8 levels 0 to 255 or floats 0 to 1")
    if not np.isfinite(images).all():
        raise UnreadableImagesError("holds NaN or infinite values")
    if images.min() < 0 or images.max() > 1:
        raise UnreadableImagesError(
            f"holds floats from {images.min():.3g} to {images.max():.3g}; they must lie in 0 to 1"
        )
    return images.astype("float32")
