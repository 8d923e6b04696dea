"""How well damaged images are mended, beside the damaged ones and a median filter.

Images are float32 (count, height, width) in [0, 1].
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.ndimage import median_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

MEDIAN_SIDE = 3
HOLE_GREY = 0.5


def add_noise(images: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    """Images with Gaussian noise of standard deviation `sigma`, cut off at 0 and 1."""
    noise = np.random.default_rng(seed).standard_normal(images.shape, dtype="float32")
    return np.clip(images + np.float32(sigma) * noise, 0, 1)


def box_mask(images: np.ndarray, side: int, seed: int) -> np.ndarray:
    """A square hole of `side` pixels at a random place in each image's middle half, bool, of the shape of `images`."""
    count, height, width = images.shape
    side = min(side, height, width)
    rng = np.random.default_rng(seed)
    top = _places(rng, count, height, side)
    left = _places(rng, count, width, side)
    rows, columns = np.arange(height)[None, :, None], np.arange(width)[None, None, :]
    inside_rows = (rows >= top[:, None, None]) & (rows < top[:, None, None] + side)
    return inside_rows & (columns >= left[:, None, None]) & (columns < left[:, None, None] + side)


def cut_out(images: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Images with their `missing` pixels grey, so that the hole shows on ink and on paper."""
    return np.where(missing, np.float32(HOLE_GREY), images)


def median_filtered(images: np.ndarray) -> np.ndarray:
    """Each pixel as the median of its 3×3 neighbourhood."""
    return median_filter(images, size=(1, MEDIAN_SIDE, MEDIAN_SIDE), mode="nearest")


def psnr(clean: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of each image in dB, for a peak of 1, shape (count,)."""
    pairs = zip(clean, images, strict=True)
    return np.array([peak_signal_noise_ratio(one, other, data_range=1) for one, other in pairs])


def ssim(clean: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Structural similarity of each image, shape (count,), 1 for equal ones (Wang et al. 2004)."""
    pairs = zip(clean, images, strict=True)
    return np.array([structural_similarity(one, other, data_range=1) for one, other in pairs])


def quality_table(clean: np.ndarray, versions: Mapping[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    """Mean PSNR and SSIM with standard errors of images by (damage, method): one row each."""
    rows = []
    for (damage, method), images in versions.items():
        row: dict[str, object] = {"damage": damage, "method": method}
        for name, values in (("psnr", psnr(clean, images)), ("ssim", ssim(clean, images))):
            row |= {name: values.mean(), f"{name}_se": values.std(ddof=1) / np.sqrt(len(values))}
        rows.append(row)
    return pd.DataFrame(rows)


def _places(rng: np.random.Generator, count: int, length: int, side: int) -> np.ndarray:
    center = (length - side) / 2
    spread = min(length // 8, center)
    return np.rint(center + rng.uniform(-spread, spread, count)).astype(int)
