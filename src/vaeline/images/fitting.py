"""Arrays as files hold them, made into images of a given size."""

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image

from vaeline.images.arrays import drawable, to_uint8, to_unit
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.lazy import AnySource, LazyImages
from vaeline.images.pictures import fit_picture
from vaeline.images.spec import ImageSpec
from vaeline.images.types import AnyImages


def fit_images(
    images: AnyImages, spec: ImageSpec
) -> Shaped[np.ndarray, "count {spec.height} {spec.width} {spec.channels}"]:
    """Images (count, height, width, channels) in the size `spec`: uint8 stays uint8, floats become float32 in [0, 1].

    Images of another size or number of channels are fitted like pictures; floats are then rounded to 256 levels.

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


def inverted(images: AnyImages) -> AnyImages:
    """Dark ink on light paper as light ink on black, uint8 or float32. Raises UnreadableImagesError as `fit_images`."""
    images = _checked(images)
    return 255 - images if images.dtype == np.uint8 else 1 - images


def fit_bytes(
    images: AnyImages, spec: ImageSpec
) -> UInt8[np.ndarray, "count {spec.height} {spec.width} {spec.channels}"]:
    """Images (count, height, width, channels) uint8 in the size `spec`, as they are kept on disk.

    Raises:
        UnreadableImagesError: the values are not uint8.
    """
    _check_bytes(images)
    return fit_images(images, spec)


def fit_in_parts(images: AnySource, spec: ImageSpec) -> LazyImages:
    """As `fit_bytes`, but images are fitted as they are read.

    Raises:
        UnreadableImagesError: the values are not uint8.
    """
    _check_bytes(images)
    return LazyImages((len(images), *spec.shape), lambda rows: fit_bytes(images[rows], spec), "uint8")


def _check_bytes(images: AnySource) -> None:
    if images.dtype != np.uint8:
        values = images[:]
        raise UnreadableImagesError(
            f"images hold {images.dtype} values from {values.min()} to {values.max()}; save uint8 levels 0 to 255"
        )


def _checked(images: AnyImages) -> AnyImages:
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
