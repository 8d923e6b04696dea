"""Heat maps: how much each pixel of an image surprises a model, on several scales.

Images are float32 (count, height, width, channels) in [0, 1], maps float32 (count, height, width). A map is made of
several features, and says of each pixel by how many standard deviations the highest of them is above its mean over good
images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64
from scipy.ndimage import gaussian_filter, map_coordinates

from vaeline.images.spec import ImageSpec
from vaeline.images.types import HeatMaps, Images

LEAST_NOISE = 1 / 255
TOP_SHARE = 0.01
MOST_SCALE = 16
MOST_CELLS = 16
FLOOR = 0.5
TINY = 1e-9


def surprise(
    images: Images, reconstructions: Images, scales: Sequence[float]
) -> Float32[np.ndarray, "features count height width"]:
    """Two features for each scale: the energy of the residual, and the energy of what is left of it after smoothing.

    The first is high where pixels differ from the reconstruction, the second where neighbours differ in the same
    direction: a faint stain. The residual is divided by the square root of its mean absolute value in the image, but at
    least of one level of 8 bits, because images with a coarse texture are reconstructed less well everywhere.
    Channels are averaged. Beyond its edge, an image is mirrored.
    """
    residual = images - reconstructions
    noise = np.maximum(np.abs(residual).mean(axis=(1, 2, 3), keepdims=True), LEAST_NOISE)
    residual /= np.sqrt(noise)
    features = []
    for scale in scales:
        sigma = (0, scale, scale)
        features.append(gaussian_filter(np.square(residual).mean(axis=3), sigma))
        smooth = np.square(gaussian_filter(residual, (*sigma, 0))).mean(axis=3)
        features.append(gaussian_filter(smooth, sigma))
    return np.stack(features)


def scales_of(image: ImageSpec) -> tuple[float, ...]:
    """The standard deviations, in pixels, of the filters for images of this size: 1, 2, 4, … to 1/16 of a side."""
    most = max(1.0, min(image.height, image.width) / MOST_SCALE)
    return tuple(2.0**power for power in range(int(np.log2(most)) + 1))


@dataclass(frozen=True)
class MapStatistics:
    """The mean and the standard deviation of each feature of good images, in the cells of a grid over the image.

    They differ by place, because the border and moving parts of an object are reconstructed less well. Cells are
    coarser than pixels, so that few images are enough.
    """

    scales: tuple[float, ...]
    height: int
    width: int
    mean: Float64[np.ndarray, "features rows columns"]
    deviation: Float64[np.ndarray, "features rows columns"]

    @classmethod
    def of_moments(
        cls,
        scales: Sequence[float],
        size: tuple[int, int],
        mean: Float64[np.ndarray, "features rows columns"],
        square: Float64[np.ndarray, "features rows columns"],
    ) -> "MapStatistics":
        """The statistics from the mean of the features and of their squares. A cell's variance gets a floor."""
        overall = (square.mean(axis=(1, 2)) - mean.mean(axis=(1, 2)) ** 2)[:, None, None]
        variance = np.maximum(square - mean**2, 0) + FLOOR**2 * np.maximum(overall, 0)
        return cls(tuple(scales), *size, mean, np.sqrt(variance) + TINY)

    def heat_maps(self, images: Images, reconstructions: Images) -> HeatMaps:
        """The heat maps of images, in standard deviations above good images."""
        mean, deviation = self._planes
        return ((surprise(images, reconstructions, self.scales) - mean[:, None]) / deviation[:, None]).max(axis=0)

    @cached_property
    def _planes(
        self,
    ) -> tuple[Float32[np.ndarray, "features height width"], Float32[np.ndarray, "features height width"]]:
        """Mean and deviation of each pixel, interpolated between the centres of cells."""
        size = self.height, self.width
        return _interpolated(self.mean, size), _interpolated(self.deviation, size)


def cell_means(
    values: Float32[np.ndarray, "features count height width"],
) -> Float64[np.ndarray, "features count rows columns"]:
    """The means of values in the cells of a grid of at most 16 × 16, which cover the pixels evenly."""
    total, sizes = values.astype("float64"), np.ones(values.shape[2:])
    for axis in (-2, -1):
        side = values.shape[axis]
        starts = -(-np.arange(min(side, MOST_CELLS)) * side // min(side, MOST_CELLS))
        total, sizes = (np.add.reduceat(array, starts, axis=axis) for array in (total, sizes))
    return total / sizes


def top_pixels(height: int, width: int) -> int:
    """How many pixels make the score of an image of this size: the highest 1 %."""
    return max(1, round(TOP_SHARE * height * width))


def image_scores(maps: HeatMaps, pixels: int) -> Float32[np.ndarray, " count"]:
    """The mean of the `pixels` highest values of each map."""
    flat = maps.reshape(len(maps), -1)
    return np.partition(flat, -pixels, axis=1)[:, -pixels:].mean(axis=1)


def brightest(threshold: float) -> float:
    """The value of a map, in standard deviations, that the brightest colour of a picture of it stands for."""
    return max(2 * threshold, 1.0)


def _interpolated(
    cells: Float64[np.ndarray, "features rows columns"], size: tuple[int, int]
) -> Float32[np.ndarray, "features height width"]:
    centres = [(np.arange(side) + 0.5) * count / side - 0.5 for side, count in zip(size, cells.shape[1:], strict=True)]
    places = np.meshgrid(*centres, indexing="ij")
    planes = [map_coordinates(feature, places, order=1, mode="nearest") for feature in cells]
    return np.stack(planes).astype("float32")
