"""What each latent does to an image, the others held."""

import numpy as np
from scipy.stats import norm


def traverse(center: np.ndarray, steps: int, swept: int) -> tuple[np.ndarray, np.ndarray]:
    """Latents (swept, steps, latent_dim), of the first `swept` entries one a row, and the values (steps,) it takes.

    Row i is `center` (latent_dim,) with its latent i replaced by quantiles of N(0, 1), each of the same share of the
    prior; an odd number of steps has the median, 0, in the middle.
    """
    values = norm.ppf((np.arange(steps) + 0.5) / steps).astype("float32")
    dimensions = np.arange(swept)
    latents = np.tile(np.asarray(center, "float32"), (swept, steps, 1))
    latents[dimensions, :, dimensions] = values
    return latents, values
