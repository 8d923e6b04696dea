"""New images of a class, from what the model remembers of its training images."""

import numpy as np


def draw_around(
    z_mean: np.ndarray, z_log_var: np.ndarray, count: int, temperature: float, rng: np.random.Generator
) -> np.ndarray:
    """Latents (count, latent_dim), float32, from an even mixture of posteriors N(z_mean, temperature² · variance).

    Only the first `noise_dim` entries vary, as many as `z_log_var` (n, noise_dim) has. Each posterior gives one before
    any gives a second: the aggregated posterior of the class (Tomczak & Welling 2018, arXiv:1705.07120, section 2),
    stratified. With a temperature of 0 the remembered means come back.
    """
    rounds = -(-count // len(z_mean))
    rows = np.concatenate([rng.permutation(len(z_mean)) for _ in range(rounds)])[:count]
    z, scale = z_mean[rows].astype("float32"), temperature * np.exp(0.5 * z_log_var[rows])
    z[:, : scale.shape[1]] += scale * rng.standard_normal(scale.shape)
    return z
