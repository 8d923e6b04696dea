"""How well heat maps find the defective pixels of masks: pixel AUROC and AUPRO.

Both come from counts of pixels by the value of the map, which are added up image by image. Memory therefore does not
grow with the number of images.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, Integer
from scipy.ndimage import label

BITS = 16
BINS = 1 << BITS
MOST_FALSE_POSITIVES = 0.3
EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=int)


@dataclass(frozen=True)
class PixelCounts:
    """Pixels by the bin of their value: the higher the bin, the higher the value.

    sound, defective: how many pixels of each bin are outside and inside of masks. overlap: for each bin, the sum over
    connected regions of the share of the region's pixels that it holds. regions: how many regions there are.
    """

    sound: Int64[np.ndarray, " bins"]
    defective: Int64[np.ndarray, " bins"]
    overlap: Float[np.ndarray, " bins"]
    regions: int

    @classmethod
    def none(cls) -> Self:
        """The counts of no image."""
        return cls(np.zeros(BINS, "int64"), np.zeros(BINS, "int64"), np.zeros(BINS), 0)

    def __add__(self, other: "PixelCounts") -> "PixelCounts":
        return PixelCounts(
            self.sound + other.sound,
            self.defective + other.defective,
            self.overlap + other.overlap,
            self.regions + other.regions,
        )


def bins_of(values: Float32[np.ndarray, "*shape"]) -> Integer[np.ndarray, "*shape"]:
    """The bins of values: the first 16 bits of the float, in the order of the values.

    A bin holds values that differ by at most 0.8 %. The bits of a negative float are turned, because they rise while
    the value falls.
    """
    bits = np.ascontiguousarray(values).view("int32")
    ordered = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    return (ordered >> (32 - BITS)) + BINS // 2


def count_pixels(
    maps: Float32[np.ndarray, "count height width"], masks: Bool[np.ndarray, "count height width"]
) -> PixelCounts:
    """The counts of some heat maps. Pixels that touch, also by a corner, are one region."""
    bins = bins_of(maps)
    overlap, regions = np.zeros(BINS), 0
    for row in np.flatnonzero(masks.any(axis=(1, 2))):
        numbers, found = label(masks[row], EIGHT_NEIGHBOURS)
        inside = numbers > 0
        share = 1 / np.bincount(numbers[inside])[numbers[inside]]
        overlap += np.bincount(bins[row][inside], share, BINS)
        regions += found
    sound, defective = (np.bincount(bins[chosen], minlength=BINS) for chosen in (~masks, masks))
    return PixelCounts(sound, defective, overlap, regions)


def pixel_auroc(counts: PixelCounts) -> float:
    """The area under the ROC curve of all pixels, defective ones positive; pixels of one bin count half."""
    below = np.cumsum(counts.sound) - counts.sound
    placements = (counts.defective * (below + 0.5 * counts.sound)).sum()
    return float(placements / (counts.sound.sum() * counts.defective.sum()))


def aupro(counts: PixelCounts, most: float = MOST_FALSE_POSITIVES) -> float:
    """The area under the curve of per-region overlap, up to a false-positive rate of `most`, divided by `most`.

    The overlap is the share of a region's pixels above a threshold, as a mean over all regions: each region counts the
    same, whatever its size. The false-positive rate is the share of sound pixels above it. Bergmann et al. 2021, The
    MVTec Anomaly Detection Dataset, International Journal of Computer Vision 129, section 5.
    """
    rate = np.concatenate([[0.0], np.cumsum(counts.sound[::-1]) / counts.sound.sum()])
    overlap = np.concatenate([[0.0], np.cumsum(counts.overlap[::-1]) / counts.regions])
    within = rate < most
    rates = np.append(rate[within], most)
    return float(np.trapezoid(np.append(overlap[within], np.interp(most, rate, overlap)), rates) / most)
