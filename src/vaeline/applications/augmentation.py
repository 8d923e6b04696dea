"""New images of a class, from what the model remembers of its training images."""

import numpy as np


def draw_around(
    z_mean: np.ndarray, z_log_var: np.ndarray, count: int, temperature: float, rng: np.random.Generator
) -> np.ndarray:
    """Latents (count, latent_dim), float32, from an even mixture of posteriors N(z_mean, temperature² · variance).

    Each posterior (n, latent_dim) gives one before any gives a second: the aggregated posterior of the class (Tomczak
    & Welling 2018, arXiv:1705.07120, section 2), stratified. With a temperature of 0 the remembered means come back.
    """
    rounds = -(-count // len(z_mean))
    rows = np.concatenate([rng.permutation(len(z_mean)) for _ in range(rounds)])[:count]
    noise = rng.standard_normal((count, z_mean.shape[1]))
    return (z_mean[rows] + temperature * np.exp(0.5 * z_log_var[rows]) * noise).astype("float32")
