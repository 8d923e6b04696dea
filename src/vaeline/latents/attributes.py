"""Attributes of handwriting that are measured on an image.

Images are float32 (count, height, width, channels) in [0, 1], ink bright; of colour images the luminance counts.
"""

import numpy as np
from jaxtyping import Float, Float32, Num
from skimage.morphology import skeletonize

from vaeline.images.arrays import luminance
from vaeline.images.types import Images, Labels

INK = 0.5


def slant(images: Images) -> Float[np.ndarray, " count"]:
    """How far strokes lean, shape (count,): columns to the right for each row upwards; 0 is upright.

    It is the regression of the ink's column on its row: −μ11 / μ02 of the image's central moments.
    """
    ink = _ink(images)
    mass = ink / np.maximum(ink.sum(axis=(1, 2), keepdims=True), 1e-6)
    y, x = np.indices(ink.shape[1:])
    y = y - (mass * y).sum(axis=(1, 2))[:, None, None]
    x = x - (mass * x).sum(axis=(1, 2))[:, None, None]
    return -(mass * x * y).sum(axis=(1, 2)) / np.maximum((mass * y**2).sum(axis=(1, 2)), 1e-6)


def thickness(images: Images) -> Float[np.ndarray, " count"]:
    """Mean width of the strokes in pixels, shape (count,): ink over the length of its skeleton; 0 without ink."""
    ink = _ink(images)
    length = np.array([skeletonize(image).sum() for image in ink > INK])
    return np.where(length, ink.sum(axis=(1, 2)) / np.maximum(length, 1), 0.0)


ATTRIBUTES = {"slant": slant, "thickness": thickness}


def _ink(images: Images) -> Float[np.ndarray, "count height width"]:
    """Images as (count, height, width): grey ones as they are, the luminance of colour."""
    return images[..., 0] if images.shape[-1] == 1 else luminance(images)


def attribute_direction(
    z_mean: Float[np.ndarray, "count latent_dim"], values: Float[np.ndarray, " count"], labels: Labels
) -> Float[np.ndarray, " latent_dim"]:
    """Change of `z_mean` (latent_dim,) with one standard deviation of `values` (count,), both within their class."""
    z_within, within = z_mean.astype("float64"), values.astype("float64")
    for label in np.unique(labels):
        rows = labels == label
        z_within[rows] -= z_within[rows].mean(axis=0)
        within[rows] -= within[rows].mean()
    deviation = within.std()
    return z_within.T @ within / (len(within) * deviation) if deviation else np.zeros(z_mean.shape[1])


def edit(
    z: Float[np.ndarray, "count latent_dim"],
    direction: Float[np.ndarray, " latent_dim"],
    amounts: Num[np.ndarray, " amounts"],
) -> Float32[np.ndarray, "count amounts latent_dim"]:
    """Latents (count, len(amounts), latent_dim), float32: z + amount · direction, for z (count, latent_dim).

    An attribute's direction is the change of z with one standard deviation of the attribute (White 2016,
    arXiv:1609.04468, section 3), so amounts are in standard deviations.
    """
    amounts = np.asarray(amounts, "float64")
    return (z[:, None] + amounts[:, None] * direction).astype("float32")
