"""Changing one property of an image by moving its latent in one direction."""

import numpy as np


def edit(z: np.ndarray, direction: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Latents (count, len(amounts), latent_dim), float32: z + amount · direction, for z (count, latent_dim).

    An attribute's direction is the change of z with one standard deviation of the attribute (White 2016,
    arXiv:1609.04468, section 3), so amounts are in standard deviations.
    """
    amounts = np.asarray(amounts, "float64")
    return (z[:, None] + amounts[:, None] * direction).astype("float32")
