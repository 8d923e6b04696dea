"""How often each code of a codebook is used."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Integer
from keras import ops

if TYPE_CHECKING:
    from vaeline.models.kinds.vqvae.model import VQVAE

IMAGES_AT_ONCE = 1000


def count_uses(model: "VQVAE", z: Float[np.ndarray, "count latent_dim"]) -> Integer[np.ndarray, " codes"]:
    """How often each code (codes,) occurs in latents (count, latent_dim)."""
    uses = np.zeros(model.params.codebook.codes, "int64")
    for start in range(0, len(z), IMAGES_AT_ONCE):
        codes = ops.convert_to_numpy(model.codes(z[start : start + IMAGES_AT_ONCE]))
        uses += np.bincount(codes.ravel(), minlength=len(uses))
    return uses


def perplexity(uses: Integer[np.ndarray, " codes"]) -> float:
    """exp(−Σ p log p) of the shares p of counts (codes,): how many codes, all used alike, would be as varied."""
    shares = uses[uses > 0] / uses.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
