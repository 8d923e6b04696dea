"""Damage that a model must undo in training, so that it draws defects as they should be.

A damaged image has patches and lines, as in the denoising autoencoders of Kascenas et al. (2022) and of Bauer & Müller
(2025, arXiv:2511.07233). The loss compares with the image as it was. Noise is added to both, so that the model keeps
what it need not change (the second paper's regularisation). For a VAE, the loss still bounds −log p(x): Im et al.
(2017, arXiv:1511.06406).
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import gaussian_filter
from skimage.draw import line

from vaeline.images.types import Images, Labels
from vaeline.params.train import CorruptionParams
from vaeline.training.batches import Examples

CORRUPTION_STREAM = 2
LEAST_SIDE = 0.02
LEAST_CONTRAST = 0.2
LINE_SHARE = 0.3
OWN_SHARE = 0.5
BENDS = 5

Mask = Float32[np.ndarray, "height width 1"]


class Shown(NamedTuple):
    """Images as a model gets them, their labels (count,), and what it must make of them; None: the same images."""

    images: Images
    labels: Labels
    targets: Images | None


def damaged(batches: Iterable[Examples], seed: int, epoch: int, settings: CorruptionParams) -> Iterator[Shown]:
    """The batches with damage that depends only on (seed, epoch)."""
    rng = np.random.default_rng([seed, epoch, CORRUPTION_STREAM])
    for images, labels in batches:
        noise = settings.noise * rng.standard_normal(images.shape, dtype="float32")
        shown = np.stack([damage(image, images, settings, rng) for image in images])
        yield Shown(np.clip(shown + noise, 0, 1), labels, np.clip(images + noise, 0, 1))


def damage(
    image: Float32[np.ndarray, "height width channels"],
    others: Images,
    settings: CorruptionParams,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "height width channels"]:
    """An image with up to `settings.most` damages, each of them a patch or a line.

    A patch shows a part of one of `others`, or the image itself brighter or darker; a line is brighter or darker.
    """
    found = image
    for _ in range(rng.integers(settings.most + 1)):
        is_line = rng.random() < LINE_SHARE
        mask = (draw_line if is_line else draw_patch)(image.shape[:2], settings.size, rng)
        if is_line or rng.random() < OWN_SHARE:
            change = settings.contrast * rng.uniform(LEAST_CONTRAST, 1) * rng.choice([-1, 1])
            content = found + np.float32(change)
        else:
            content = np.roll(others[rng.integers(len(others))], rng.integers(image.shape[:2]), axis=(0, 1))
        found = found + mask * (content - found)
    return np.clip(found, 0, 1)


def draw_patch(shape: tuple[int, ...], size: float, rng: np.random.Generator) -> Mask:
    """A filled ellipse with a soft border and a random opacity; its axes are up to `size` of the longer side."""
    height, width = shape
    axes = max(shape) / 2 * np.exp(rng.uniform(np.log(LEAST_SIDE), np.log(size), 2))
    turn, (y, x) = rng.uniform(0, np.pi), rng.uniform(0, shape)
    down, right = np.ogrid[:height, :width]
    along = (right - x) * np.cos(turn) + (down - y) * np.sin(turn)
    across = (down - y) * np.cos(turn) - (right - x) * np.sin(turn)
    inside = np.clip(1.5 - (along / axes[0]) ** 2 - (across / axes[1]) ** 2, 0, 1)
    return (rng.uniform(0.5, 1) * inside).astype("float32")[..., None]


def draw_line(shape: tuple[int, ...], size: float, rng: np.random.Generator) -> Mask:
    """A bent line of a random width and opacity; it is up to four times `size` of the longer side long."""
    mask = np.zeros(shape, "float32")
    step = max(shape) * 4 * size * rng.uniform(0.1, 1) / BENDS
    turn, place = rng.uniform(0, 2 * np.pi), rng.uniform(0, shape)
    for _ in range(BENDS):
        turn += rng.normal(0, 0.3)
        end = place + step * np.array([np.sin(turn), np.cos(turn)])
        down, right = line(*place.astype(int), *end.astype(int))
        seen = (down >= 0) & (down < shape[0]) & (right >= 0) & (right < shape[1])
        mask[down[seen], right[seen]] = 1
        place = end
    width = rng.uniform(0.4, 1.2)
    soft = np.clip(2.5 * width * gaussian_filter(mask, width), 0, 1)
    return (rng.uniform(0.5, 1) * soft)[..., None]
