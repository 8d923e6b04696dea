"""Likelihoods by their name."""

import math
from collections.abc import Callable

from vaeline.models.likelihoods.base import Likelihood
from vaeline.models.likelihoods.bernoulli import Bernoulli
from vaeline.models.likelihoods.calibrated_gaussian import CalibratedGaussian
from vaeline.models.likelihoods.continuous_bernoulli import ContinuousBernoulli
from vaeline.models.likelihoods.gaussian import Gaussian

LIKELIHOODS: dict[str, Callable[[float], Likelihood]] = {
    "bernoulli": lambda sigma: Bernoulli(),
    "calibrated_gaussian": lambda sigma: CalibratedGaussian(),
    "continuous_bernoulli": lambda sigma: ContinuousBernoulli(),
    "gaussian": Gaussian,
    "mse": lambda sigma: Gaussian(math.sqrt(0.5)),
}


def build_likelihood(name: str, sigma: float) -> Likelihood:
    """The likelihood called `name`; `sigma` is the `gaussian`'s standard deviation of a pixel.

    `mse` is the Gaussian with variance 1/2: its nats are the squared error, summed over pixels, plus a constant.
    """
    return LIKELIHOODS[name](sigma)
