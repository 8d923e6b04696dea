"""Pixels with one learned standard deviation (σ-VAE, Rybkin et al. 2021, arXiv:2006.13202)."""

import keras
from keras import ops

from vaeline.images.types import Tensor
from vaeline.models.likelihood import GaussianPixels

LEAST_LOG_SIGMA = -6.0


class CalibratedGaussian(GaussianPixels, keras.layers.Layer):
    """Pixels with one learned standard deviation of at least e^−6 around sigmoid(logits)."""

    def __init__(self):
        keras.layers.Layer.__init__(self, name="calibrated_gaussian")
        self.raw_log_sigma = self.add_weight(shape=(), initializer="zeros", name="raw_log_sigma")
        self.built = True

    @property
    def log_sigma(self) -> Tensor:
        """log σ; a softplus keeps it above its lowest value."""
        return LEAST_LOG_SIGMA + ops.softplus(self.raw_log_sigma - LEAST_LOG_SIGMA)


LIKELIHOOD = CalibratedGaussian
