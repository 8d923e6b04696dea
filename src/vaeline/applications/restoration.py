"""Mending images with a model: what is noise or missing is replaced by what the model expects.

Images are float32 (count, height, width) in [0, 1].
"""

import numpy as np

from vaeline.models.vae import VAE

BATCH = 500


def reconstruct(model: VAE, images: np.ndarray) -> np.ndarray:
    """The expected images of their `z_mean`, of any number of images."""
    parts = [np.asarray(model.reconstruct(images[start : start + BATCH])) for start in range(0, len(images), BATCH)]
    return np.concatenate(parts)


def denoise(model: VAE, images: np.ndarray) -> np.ndarray:
    """Images without what the latent space cannot express, noise above all."""
    return reconstruct(model, images)


def inpaint(model: VAE, images: np.ndarray, missing: np.ndarray, steps: int = 20) -> np.ndarray:
    """Images with their `missing` pixels (height, width) or (count, height, width), bool, filled in.

    The missing pixels start black and are replaced by those of the reconstruction, `steps` times; the known ones
    stay as they are (Rezende et al. 2014, arXiv:1401.4082, section 6.4, with means in the place of draws).
    """
    filled = np.where(missing, np.float32(0), images)
    for _ in range(steps):
        filled = np.where(missing, reconstruct(model, filled), images)
    return filled
