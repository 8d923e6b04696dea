"""The moments of good images' features, from which the statistics of heat maps follow, whatever reconstructs them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, Integer

from vaeline.defects.heat_map import MapStatistics, cell_means, surprise
from vaeline.errors import VaelineError
from vaeline.images.arrays import to_unit
from vaeline.images.lazy import AnySource, ByteSource
from vaeline.images.types import HeatMaps, Images

Reconstruct: TypeAlias = Callable[[Images], Images]
"""What gives the expected images of images, as a model or a baseline sees them."""

PART_NUMBERS = 1 << 21
FOLDS = 10
LEAST_FOLDS = 2


@dataclass(frozen=True)
class Moments:
    """Sums over the good images of each fold: of the features in the cells of a grid, and of their squares."""

    scales: tuple[float, ...]
    size: tuple[int, int]
    counts: Integer[np.ndarray, " folds"]
    sums: Float64[np.ndarray, "folds features rows columns"]
    squares: Float64[np.ndarray, "folds features rows columns"]

    def statistics(self, without: int | None = None) -> MapStatistics:
        """The statistics of all images, or of those outside of one fold."""
        kept = np.arange(len(self.counts)) != without
        count = self.counts[kept].sum()
        mean, square = (total[kept].sum(axis=0) / count for total in (self.sums, self.squares))
        return MapStatistics.of_moments(self.scales, self.size, mean, square)


def fit_moments(
    reconstruct: Reconstruct, images: ByteSource, folds: Integer[np.ndarray, " count"], scales: Sequence[float]
) -> Moments:
    """The moments over good images (count, height, width, channels) of these folds, which are read in parts.

    Raises:
        VaelineError: there are fewer than two folds.
    """
    counts = np.bincount(folds)
    if len(counts) < LEAST_FOLDS:
        raise VaelineError("heat maps need at least 2 validation pictures, there is 1")
    sums = squares = np.zeros(())
    for part in parts_of(images, np.arange(len(images))):
        some = to_unit(images[part])
        features = surprise(some, reconstruct(some), scales)
        belongs = np.eye(len(counts))[folds[part]]
        sums = sums + np.einsum("nk,fnrc->kfrc", belongs, cell_means(features))
        squares = squares + np.einsum("nk,fnrc->kfrc", belongs, cell_means(np.square(features)))
    height, width = images.shape[1:3]
    return Moments(tuple(scales), (height, width), counts, sums, squares)


def cross_fitted_maps(
    moments: Moments, images: Images, reconstructions: Images, folds: Integer[np.ndarray, " count"]
) -> HeatMaps:
    """The heat maps of good images, each by the statistics of the images outside of its own fold.

    The statistics of an image's own fold would make it look more usual than a new image.
    """
    maps = np.empty(images.shape[:3], "float32")
    for fold in np.unique(folds):
        rows = folds == fold
        maps[rows] = moments.statistics(without=fold).heat_maps(images[rows], reconstructions[rows])
    return maps


def parts_of(images: AnySource, rows: Integer[np.ndarray, " rows"]) -> Iterator[Integer[np.ndarray, " part"]]:
    """The rows in their order, as many at a time as have `PART_NUMBERS` numbers."""
    size = max(1, PART_NUMBERS // int(np.prod(images.shape[1:])))
    return (rows[start : start + size] for start in range(0, len(rows), size))
