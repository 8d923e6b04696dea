"""Pixels with one fixed standard deviation."""

import math
from typing import Self

from vaeline.models.likelihood import GaussianPixels


class Gaussian(GaussianPixels):
    """Pixels with one fixed standard deviation `sigma` around sigmoid(logits)."""

    def __init__(self, sigma: float):
        self.sigma = sigma

    @property
    def log_sigma(self) -> float:
        return math.log(self.sigma)

    @classmethod
    def for_sigma(cls, sigma: float) -> Self:
        return cls(sigma)


LIKELIHOOD = Gaussian
