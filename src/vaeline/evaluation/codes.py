"""How a codebook is used."""

import numpy as np
from keras import ops

from vaeline.models.vqvae import VQVAE

IMAGES_AT_ONCE = 1000


def read_codes(model: VQVAE, z: np.ndarray) -> np.ndarray:
    """The codes (count, places) of latents (count, latent_dim), in reading order."""
    parts = [model.codes(z[start : start + IMAGES_AT_ONCE]) for start in range(0, len(z), IMAGES_AT_ONCE)]
    return np.concatenate([ops.convert_to_numpy(part) for part in parts])


def perplexity(uses: np.ndarray) -> float:
    """exp(−Σ p log p) of the shares p of counts (codes,): how many codes, all used alike, would be as varied."""
    shares = uses[uses > 0] / uses.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
