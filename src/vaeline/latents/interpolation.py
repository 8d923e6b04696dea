"""Interpolation: paths from one latent to another."""

import numpy as np
from jaxtyping import Float, Num
from scipy.spatial import geometric_slerp

from vaeline.errors import VaelineError

NEARLY_OPPOSITE = -1 + 1e-6


def latent_line(
    start: Num[np.ndarray, " latent_dim"], end: Num[np.ndarray, " latent_dim"], steps: int
) -> Float[np.ndarray, "{steps} latent_dim"]:
    """Latents (steps, latent_dim) on the straight line between two of them, both included."""
    share = np.linspace(0, 1, steps, dtype="float32")[:, None]
    return (1 - share) * start + share * end


def latent_arc(
    start: Num[np.ndarray, " latent_dim"], end: Num[np.ndarray, " latent_dim"], steps: int
) -> Float[np.ndarray, "{steps} latent_dim"]:
    """Latents (steps, latent_dim) between two of them (latent_dim,), both included, on an arc around the origin.

    The direction turns evenly and the length changes evenly: samples of N(0, I) in many dimensions all have nearly the
    same length, which a straight line leaves (White 2016, arXiv:1609.04468, section 2.1). Where both have the same
    direction, or one is the origin, the arc is the straight line.

    Raises:
        VaelineError: the directions are opposite, so that no arc is the shortest.
    """
    start, end = np.asarray(start, "float64"), np.asarray(end, "float64")
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    if not all(lengths):
        return latent_line(start, end, steps).astype("float32")
    directions = start / lengths[0], end / lengths[1]
    cosine = directions[0] @ directions[1]
    if cosine < NEARLY_OPPOSITE:
        raise VaelineError("the two latents lie in opposite directions, so no arc between them is the shortest")
    if len(start) == 1:
        return latent_line(start, end, steps).astype("float32")
    share = np.linspace(0, 1, steps)
    turned = geometric_slerp(*directions, share)
    return (turned * np.linspace(*lengths, steps)[:, None]).astype("float32")


PATHS = {"linear": latent_line, "spherical": latent_arc}
