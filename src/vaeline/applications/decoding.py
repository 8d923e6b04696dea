"""Latents to images, any number of them."""

import numpy as np
from keras import ops

from vaeline.models.vae import VAE

BATCH = 500


def decode(model: VAE, z: np.ndarray) -> np.ndarray:
    """Expected images (…, height, width), float32 in [0, 1], of latents (…, latent_dim)."""
    flat = z.reshape(-1, model.latent_dim).astype("float32")
    parts = [ops.convert_to_numpy(model.decode(flat[start : start + BATCH])) for start in range(0, len(flat), BATCH)]
    return np.concatenate(parts).reshape(*z.shape[:-1], *model.image_shape)
