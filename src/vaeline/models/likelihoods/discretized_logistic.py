"""Pixels of 256 levels: a logistic distribution cut into bins (Kingma et al. 2016, arXiv:1606.04934, appendix)."""

import numpy as np
from jaxtyping import Float
from keras import ops

from vaeline.images.types import Tensor
from vaeline.models.likelihood import (
    FIRST_LOG_SCALE,
    LOG_SCALES,
    ROWS,
    Likelihood,
    log_bin_probability,
    mean_in_range,
)


class DiscretizedLogistic(Likelihood):
    """The probability of each 8-bit level, so that bits per dimension compare with those of papers.

    A channel has two logits: the location, in the units of the images, and the log of the scale. The lowest and the
    highest level get the tails of the logistic distribution, so that the probabilities of all levels add up to 1.
    """

    parameters = 2
    levels = 256
    has_pairwise = False

    def mean(self, logits: Float[Tensor, "*batch parameters"]) -> Float[Tensor, "*batch channels"]:
        return mean_in_range(*_parts(logits))

    def rows_nll(
        self, images: Float[Tensor, "*#batch height channels"], logits: Float[Tensor, "*#batch height parameters"]
    ) -> Float[Tensor, "*#batch"]:
        location, log_scale = _parts(logits)
        return -ops.sum(log_bin_probability(images, location, log_scale), axis=ROWS)

    def initial_logits(self, mean: Float[np.ndarray, "*place channels"]) -> Float[np.ndarray, "*place parameters"]:
        logits = np.stack([mean, np.full_like(mean, FIRST_LOG_SCALE)], axis=-1)
        return logits.reshape(*mean.shape[:-1], -1)


def _parts(logits: Float[Tensor, "*batch parameters"]) -> tuple[Tensor, Tensor]:
    """Location and log scale of each channel; the log scale is held within its range."""
    pairs = ops.reshape(logits, (*ops.shape(logits)[:-1], logits.shape[-1] // 2, 2))
    return pairs[..., 0], ops.clip(pairs[..., 1], *LOG_SCALES)


LIKELIHOOD = DiscretizedLogistic
