"""What each latent does to an image, the others held."""

import numpy as np
from scipy.stats import norm


def traverse(center: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Latents (latent_dim, steps, latent_dim) and the values (steps,) that the swept one takes.

    Row i is `center` (latent_dim,) with its latent i replaced by quantiles of N(0, 1), each of the same share of the
    prior; an odd number of steps has the median, 0, in the middle.
    """
    values = norm.ppf((np.arange(steps) + 0.5) / steps).astype("float32")
    dimensions = np.arange(len(center))
    latents = np.tile(np.asarray(center, "float32"), (len(center), steps, 1))
    latents[dimensions, :, dimensions] = values
    return latents, values
