"""Properties of handwriting that can be read off an image.

Images are float32 (count, height, width) in [0, 1], ink bright.
"""

import numpy as np
from skimage.morphology import skeletonize

INK = 0.5


def slant(images: np.ndarray) -> np.ndarray:
    """How far strokes lean, shape (count,): columns to the right for each row upwards; 0 is upright.

    It is the regression of the ink's column on its row: −μ11 / μ02 of the image's central moments.
    """
    mass = images / np.maximum(images.sum(axis=(1, 2), keepdims=True), 1e-6)
    y, x = np.indices(images.shape[1:])
    y = y - (mass * y).sum(axis=(1, 2))[:, None, None]
    x = x - (mass * x).sum(axis=(1, 2))[:, None, None]
    return -(mass * x * y).sum(axis=(1, 2)) / np.maximum((mass * y**2).sum(axis=(1, 2)), 1e-6)


def thickness(images: np.ndarray) -> np.ndarray:
    """Mean width of the strokes in pixels, shape (count,): ink over the length of its skeleton; 0 without ink."""
    inked = images > INK
    length = np.array([skeletonize(image).sum() for image in inked])
    return np.where(length, images.sum(axis=(1, 2)) / np.maximum(length, 1), 0.0)


ATTRIBUTES = {"slant": slant, "thickness": thickness}
