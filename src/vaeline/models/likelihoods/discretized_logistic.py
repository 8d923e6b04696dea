"""Pixels of 256 levels: a logistic distribution cut into bins (Kingma et al. 2016, arXiv:1606.04934, appendix)."""

import keras
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


class DiscretizedLogistic(Likelihood, keras.layers.Layer):
    """The probability of each 8-bit level, so that bits per dimension compare with those of papers.

    A logit is the location of a channel, in the units of the images. All channels of all pixels have one learned scale:
    with a scale for each pixel, a model explains a difference by a wider distribution, and draws blurred images. The
    lowest and the highest level get the tails of the logistic distribution, so that the probabilities of all levels add
    up to 1.
    """

    levels = 256
    has_pairwise = False

    def __init__(self):
        keras.layers.Layer.__init__(self, name="discretized_logistic")
        first = keras.initializers.Constant(FIRST_LOG_SCALE)
        self.raw_log_scale = self.add_weight(shape=(), initializer=first, name="raw_log_scale")
        self.built = True

    @property
    def log_scale(self) -> Tensor:
        """The log of the scale, held within its range."""
        return ops.clip(self.raw_log_scale, *LOG_SCALES)

    def mean(self, logits: Float[Tensor, "*batch parameters"]) -> Float[Tensor, "*batch channels"]:
        return mean_in_range(logits, self.log_scale)

    def rows_nll(
        self, images: Float[Tensor, "*#batch height channels"], logits: Float[Tensor, "*#batch height parameters"]
    ) -> Float[Tensor, "*#batch"]:
        return -ops.sum(log_bin_probability(images, logits, self.log_scale), axis=ROWS)

    def initial_logits(self, mean: Float[np.ndarray, "*place channels"]) -> Float[np.ndarray, "*place parameters"]:
        return mean


LIKELIHOOD = DiscretizedLogistic
