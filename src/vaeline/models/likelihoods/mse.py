"""The squared error as a likelihood."""

import math

from vaeline.models.likelihood import GaussianPixels


class SquaredError(GaussianPixels):
    """The Gaussian with variance 1/2: its nats are the squared error, summed over pixels, plus a constant."""

    @property
    def log_sigma(self) -> float:
        return math.log(math.sqrt(0.5))


LIKELIHOOD = SquaredError
