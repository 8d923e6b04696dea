"""Views of latent space in two dimensions or along a line."""

import numpy as np
from jaxtyping import Float, Float32, Num
from scipy.stats import norm
from sklearn.decomposition import PCA


def prior_grid(
    side: int, z_mean: Float[np.ndarray, "count latent_dim"]
) -> tuple[Float32[np.ndarray, "{side} {side} latent_dim"], Float32[np.ndarray, " {side}"], tuple[str, str]]:
    """A grid of latents (side, side, latent_dim) through the quantiles of N(0, 1), those quantiles, and axis names.

    The grid spans the two dimensions in which the posterior means (count, latent_dim) vary most, horizontal first;
    the others are 0. The only latent of a 1-D model changes along the horizontal axis.
    """
    latent_dim = z_mean.shape[1]
    quantiles = norm.ppf((np.arange(side) + 0.5) / side).astype("float32")
    spanned = tuple(int(index) for index in np.sort(np.argsort(-z_mean.var(axis=0), kind="stable")[:2]))
    grid = np.zeros((side, side, latent_dim), "float32")
    for dimension, values in zip(spanned, (quantiles[None, :], quantiles[:, None]), strict=False):
        grid[..., dimension] = values
    names = [*(f"z{dimension + 1}, quantiles of the prior" for dimension in spanned), "(no second latent)"]
    return grid, quantiles, (names[0], names[1])


def class_grid(
    side: int, z_mean: Float[np.ndarray, "count latent_dim"]
) -> Float32[np.ndarray, "{side} {side} latent_dim"]:
    """A grid of latents (side, side, latent_dim) through the posterior means (count, latent_dim) of one class.

    It spans their two principal components, the first one horizontally. Along each, it goes through the quantiles of a
    Gaussian with the variance of the means. The whole grid has what all means share, such as their label.
    """
    found = PCA(2, svd_solver="full").fit(z_mean)
    quantiles = norm.ppf((np.arange(side) + 0.5) / side)
    across, along = (np.sqrt(found.explained_variance_)[:, None] * found.components_)[:, None, None]
    grid = found.mean_ + quantiles[None, :, None] * across + quantiles[:, None, None] * along
    return grid.astype("float32")


def plane_view(z_mean: Float[np.ndarray, "count latent_dim"]) -> tuple[Float[np.ndarray, "count 2"], tuple[str, str]]:
    """Points (count, 2) that show the posterior means, and the names of the axes: z itself, or principal components."""
    if z_mean.shape[1] == 1:
        return np.column_stack([z_mean, np.zeros(len(z_mean))]), ("z1", "")
    if z_mean.shape[1] == 2:
        return z_mean, ("z1", "z2")
    projection = PCA(2, svd_solver="full").fit(z_mean)
    names = [
        f"principal component {index + 1} ({share:.0%} of the variance)"
        for index, share in enumerate(projection.explained_variance_ratio_)
    ]
    return projection.transform(z_mean), (names[0], names[1])


def traverse(
    center: Num[np.ndarray, " latent_dim"], steps: int, swept: int
) -> tuple[Float32[np.ndarray, "{swept} {steps} latent_dim"], Float32[np.ndarray, " {steps}"]]:
    """Latents (swept, steps, latent_dim), one row for each of the first `swept` entries, and the values (steps,).

    Row i is `center` (latent_dim,) with its entry i replaced by these values: quantiles of N(0, 1) at equal shares of
    the prior. If the number of steps is odd, the median 0 is in the middle.
    """
    values = norm.ppf((np.arange(steps) + 0.5) / steps).astype("float32")
    dimensions = np.arange(swept)
    latents = np.tile(np.asarray(center, "float32"), (swept, steps, 1))
    latents[dimensions, :, dimensions] = values
    return latents, values
