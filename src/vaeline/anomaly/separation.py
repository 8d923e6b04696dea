"""How well a score separates OOD images from test images. OOD images should have the higher score.

Images are float32 (count, height, width, channels) in [0, 1].
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32, Integer
from sklearn.metrics import average_precision_score, roc_auc_score

from vaeline.images.spec import ImageSpec
from vaeline.images.types import Images

RESAMPLES = 20
Draw = Callable[..., Float32[np.ndarray, "..."]]
"""Uniform numbers of this shape for each image."""

ALTERATIONS: dict[str, Callable[[Images, Draw], Images]] = {
    "hflip": lambda images, draw: images[:, :, ::-1],
    "vflip": lambda images, draw: images[:, ::-1],
    "rotation": lambda images, draw: np.rot90(images, axes=(1, 2)),
    "inversion": lambda images, draw: 1 - images,
    "noise": lambda images, draw: draw(*images.shape[1:]),
    "constant": lambda images, draw: np.tile(draw(1, 1, 1), (1, *images.shape[1:])),
}


def alterations_of(image: ImageSpec) -> tuple[str, ...]:
    """The alterations that keep the size of such images: turned by 90°, an image must be as wide as it is high."""
    return tuple(name for name in ALTERATIONS if name != "rotation" or image.height == image.width)


def alter(images: Images, alteration: str, seed: int, rows: Integer[np.ndarray, " count"] | None = None) -> Images:
    """OOD images made from `images`: mirrored, rotated by 90°, inverted, uniform noise, or one constant grey each.

    The draws of an image depend on (seed, row). Without `rows`, the images are the first ones.
    """
    numbers = np.arange(len(images)) if rows is None else rows

    def draw(*shape: int) -> Float32[np.ndarray, "..."]:
        return np.stack([_uniform(seed, int(row), shape) for row in numbers])

    return np.ascontiguousarray(ALTERATIONS[alteration](images, draw))


def separation(usual: Float[np.ndarray, " usual"], ood: np.ndarray, seed: int) -> dict[str, float]:
    """`auroc` and `average_precision` of scores (n,) and (m,), OOD images positive, and their standard errors.

    The error of the AUROC is that of DeLong et al. (1988) for two independent sets, the other is bootstrapped.
    """
    labels = np.repeat([0, 1], [len(usual), len(ood)])
    scores = np.concatenate([usual, ood])
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(RESAMPLES):
        again = np.concatenate([rng.choice(usual, len(usual)), rng.choice(ood, len(ood))])
        draws.append(average_precision_score(labels, again))
    return {
        "auroc": float(roc_auc_score(labels, scores)),
        "auroc_se": auroc_error(usual, ood),
        "average_precision": float(average_precision_score(labels, scores)),
        "average_precision_se": float(np.std(draws, ddof=1)),
    }


def separation_table(
    usual: Mapping[str, Float[np.ndarray, " usual"]],
    ood: Mapping[str, Mapping[str, Float[np.ndarray, " _"]]],
    seed: int,
) -> pd.DataFrame:
    """`separation` for every kind of OOD images and every score: columns kind, score and the results of `separation`.

    `usual` holds the scores of test images by name, `ood` the same scores for each kind of OOD images.
    """
    rows = [
        {"kind": kind, "score": score, **separation(usual[score], scores[score], seed)}
        for kind, scores in ood.items()
        for score in usual
    ]
    return pd.DataFrame(rows)


def auroc_error(usual: Float[np.ndarray, " usual"], ood: np.ndarray) -> float:
    """Standard error of the AUROC from the placements of each score among those of the other set (DeLong 1988)."""
    variances = [
        placements.var(ddof=1) / len(placements) for placements in (_placements(usual, ood), _placements(ood, usual))
    ]
    return float(np.sqrt(sum(variances)))


def _uniform(seed: int, row: int, shape: tuple[int, ...]) -> Float32[np.ndarray, "..."]:
    """What row `row` of `default_rng(seed).random((rows, *shape), "float32")` is.

    The generator makes two such numbers from one step, so that a row may begin in the middle of a step.
    """
    earlier = row * math.prod(shape)
    bits = np.random.PCG64(seed)
    bits.advance(earlier // 2)
    rng = np.random.Generator(bits)
    rng.random(earlier % 2, dtype="float32")
    return rng.random(shape, dtype="float32")


def _placements(of: Float[np.ndarray, " of"], among: Float[np.ndarray, " among"]) -> Float[np.ndarray, " of"]:
    """The share of `among` below each of `of`, ties half."""
    ordered = np.sort(among)
    below, up_to = np.searchsorted(ordered, of, "left"), np.searchsorted(ordered, of, "right")
    return (below + up_to) / (2 * len(among))
