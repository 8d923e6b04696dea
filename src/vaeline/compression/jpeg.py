"""JPEG as the lossy compression to compare with: the bits that it needs for the same error."""

import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from vaeline.images.arrays import drawable, to_unit
from vaeline.images.spec import ImageSpec
from vaeline.images.types import ByteImages

QUALITIES = (1, 5, 10, 20, 35, 50, 65, 80, 90, 95)
LEAST_SIDE = 32
START_OF_SCAN = b"\xff\xda"


@dataclass(frozen=True)
class JpegCurve:
    """The mean bits of an image and its mean squared error a number, for JPEG qualities from low to high."""

    bits: Float[np.ndarray, " qualities"]
    mse: Float[np.ndarray, " qualities"]

    def bits_at(self, mse: float) -> float:
        """The bits for an error, on a logarithmic scale between two qualities.

        Above the error of the lowest quality, these are the bits of that quality: JPEG cannot have fewer.
        """
        return float(np.exp(np.interp(mse, self.mse[::-1], np.log(self.bits[::-1]))))


def is_comparable(image: ImageSpec) -> bool:
    """Whether images are large enough for JPEG, which codes blocks of 16 × 16 pixels."""
    return min(image.height, image.width) >= LEAST_SIDE


def jpeg_curve(images: ByteImages) -> JpegCurve:
    """The curve of images (count, height, width, channels)."""
    points = np.array([[_coded(image, quality) for quality in QUALITIES] for image in images]).mean(axis=0)
    return JpegCurve(points[:, 0], points[:, 1])


def _coded(image: UInt8[np.ndarray, "height width channels"], quality: int) -> tuple[int, float]:
    """The bits of an image after the header and the tables, which a decoder may know, and its mean squared error."""
    stream = io.BytesIO()
    Image.fromarray(drawable(image)).save(stream, "JPEG", quality=quality)
    data = stream.getvalue()
    with Image.open(stream) as opened:
        drawn = np.asarray(opened).reshape(image.shape)
    error = np.square(to_unit(drawn) - to_unit(image)).mean(dtype="float64")
    return 8 * (len(data) - data.index(START_OF_SCAN)), float(error)
