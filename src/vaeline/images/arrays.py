"""Arrays of images (…, height, width, channels): uint8 on disk, float32 in [0, 1] in models."""

import numpy as np
from jaxtyping import Float, Float32, Float64, Shaped, UInt8

LUMINANCE = (0.299, 0.587, 0.114)


def to_unit(images: UInt8[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Pixels of any shape from uint8 0–255 to float32 0–1."""
    return images.astype("float32") / 255


def to_uint8(images: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Pixels of any shape from floats 0–1 to uint8, rounded to the nearest of 0–255."""
    return round_levels(images * 255)


def round_levels(levels: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Numbers of any shape, rounded to the nearest of 0–255, as uint8."""
    return np.clip(np.rint(levels), 0, 255).astype("uint8")


def drawable(
    image: Shaped[np.ndarray, "height width channels"],
) -> Shaped[np.ndarray, "height width *channels"]:
    """An image (height, width, channels) for Pillow and Matplotlib: (height, width) if it is grey."""
    return image[..., 0] if image.shape[-1] == 1 else image


def tile(
    grid: Shaped[np.ndarray, "rows columns height width channels"],
) -> Shaped[np.ndarray, "rows*height columns*width channels"]:
    """A grid of images (rows, columns, height, width, channels) as one image; the first row is the top one."""
    rows, columns, height, width, channels = grid.shape
    return grid.swapaxes(1, 2).reshape(rows * height, columns * width, channels)


def binarize(
    images: Float[np.ndarray, "*shape"], uniform: Float[np.ndarray, "*shape"]
) -> Float32[np.ndarray, "*shape"]:
    """Binary pixels float32 drawn from images in [0, 1] by uniform numbers in [0, 1) of the same shape.

    A pixel is 1 with a probability equal to its value (Burda et al. 2016, dynamic binarization).
    """
    return (uniform < images).astype("float32")


def luminance(images: Shaped[np.ndarray, "*shape channels"]) -> Float64[np.ndarray, "*shape"]:
    """Images (…, height, width, channels) as float64 (…, height, width), on their own scale.

    A grey image is its own luminance; of colour it is 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601, as Pillow's
    mode L, without rounding).
    """
    if images.shape[-1] == 1:
        return images[..., 0].astype("float64")
    red, green, blue = (images[..., channel].astype("float64") * weight for channel, weight in enumerate(LUMINANCE))
    return red + green + blue
