"""What likelihoods share: how likely an image is, given the logits of a decoder.

The likelihoods themselves are in `models/likelihoods`, one a file, found by the name of the file.
"""

import math
from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from jaxtyping import Float
from keras import ops

from vaeline.images.types import Tensor
from vaeline.kinds import likelihood_module

ROWS = (-2, -1)
BIAS_BOUND = 5.0
HALF_BIN = 0.5 / 255
LOG_SCALES = (-7.0, 7.0)
FIRST_LOG_SCALE = -2.0


class Likelihood(ABC):
    """A distribution over images (…, height, width, channels) in [0, 1], given logits.

    Logits have the shape (…, height, width, logits per pixel). All likelihoods are in nats per image, summed over
    height, width and channels; that of a density may be negative.
    """

    parameters = 1
    """How many logits a decoder gives for each channel of a pixel; see `logits_per_pixel`."""
    levels: int | None = None
    """How many values a channel of a pixel can have: 2 for binary pixels, 256 for 8 bits, None for a density."""
    has_pairwise = True
    """Whether `pairwise_nll` is defined. If not, the importance-weighted bound stands for the NLL of a 2-D model."""

    @classmethod
    def for_sigma(cls, sigma: float) -> Self:
        """The likelihood for `model.sigma`, the standard deviation of a pixel, which most likelihoods do not use."""
        return cls()

    @abstractmethod
    def mean(self, logits: Float[Tensor, "*batch parameters"]) -> Float[Tensor, "*batch channels"]:
        """The expected images (…, height, width, channels) in [0, 1]."""

    def nll(
        self,
        images: Float[Tensor, "*#batch height width channels"],
        logits: Float[Tensor, "*#batch height width parameters"],
    ) -> Float[Tensor, "*#batch"]:
        """−log p(x|z) of each image, shape (…,); images and logits broadcast against each other."""
        return self.rows_nll(as_rows(images), as_rows(logits))

    def logits_per_pixel(self, channels: int) -> int:
        """How many logits a decoder gives for a pixel."""
        return channels * self.parameters

    def rows_nll(
        self, images: Float[Tensor, "*#batch height channels"], logits: Float[Tensor, "*#batch height parameters"]
    ) -> Float[Tensor, "*#batch"]:
        """`nll` of images and logits (…, height, width · channels): the sum over the last two axes.

        There is no axis of channels, so that XLA adds the pixels of a grey image in the same order as earlier versions.
        A likelihood whose channels depend on each other defines `nll` instead.
        """
        raise NotImplementedError

    def pairwise_nll(
        self,
        images: Float[Tensor, "images height width channels"],
        logits: Float[Tensor, "latents height width parameters"],
    ) -> Float[Tensor, "images latents"]:
        """−log p(x|z) of each image (n, …) for each of the logits (m, …), shape (n, m), by one matrix product.

        Defined only if `has_pairwise`.
        """
        raise NotImplementedError

    def initial_logits(self, mean: Float[np.ndarray, "*place channels"]) -> Float[np.ndarray, "*place parameters"]:
        """The decoder's first logits (…, logits per pixel), from the mean (…, channels) of the training images.

        Here they are logit(mean), clipped to ±5 (Burda et al. 2015, appendix).
        """
        floor = 1 / (1 + math.exp(BIAS_BOUND))
        probability = np.clip(mean, floor, 1 - floor)
        return np.log(probability) - np.log1p(-probability)


class GaussianPixels(Likelihood):
    """Pixels with one standard deviation exp(`log_sigma`) around sigmoid(logits)."""

    @property
    @abstractmethod
    def log_sigma(self) -> Any:
        """log σ, a number or a tensor ()."""

    def mean(self, logits: Float[Tensor, "*batch parameters"]) -> Float[Tensor, "*batch channels"]:
        return ops.sigmoid(logits)

    def rows_nll(
        self, images: Float[Tensor, "*#batch height channels"], logits: Float[Tensor, "*#batch height parameters"]
    ) -> Float[Tensor, "*#batch"]:
        squared_error = ops.sum(ops.square(images - self.mean(logits)), axis=ROWS)
        return self._from_squared_error(squared_error, math.prod(images.shape[-2:]))

    def pairwise_nll(
        self,
        images: Float[Tensor, "images height width channels"],
        logits: Float[Tensor, "latents height width parameters"],
    ) -> Float[Tensor, "images latents"]:
        flat_images, means = flatten(images), flatten(self.mean(logits))
        squared_error = (
            ops.sum(ops.square(flat_images), axis=-1, keepdims=True)
            + ops.sum(ops.square(means), axis=-1)
            - 2 * ops.matmul(flat_images, ops.transpose(means))
        )
        return self._from_squared_error(squared_error, math.prod(images.shape[-3:]))

    def _from_squared_error(self, squared_error: Float[Tensor, "*batch"], numbers: int) -> Float[Tensor, "*batch"]:
        return 0.5 * squared_error * ops.exp(-2 * self.log_sigma) + numbers * (
            self.log_sigma + 0.5 * math.log(2 * math.pi)
        )


def build_likelihood(name: str, sigma: float) -> Likelihood:
    """The likelihood called `name`; `sigma` is the `gaussian`'s standard deviation of a pixel."""
    return likelihood_module(name).LIKELIHOOD.for_sigma(sigma)


def cross_entropy(
    images: Float[Tensor, "*#batch height channels"], logits: Float[Tensor, "*#batch height parameters"]
) -> Float[Tensor, "*#batch"]:
    """The binary cross-entropy of rows of pixels (…, height, width · channels), summed over the last two axes."""
    return ops.sum(ops.softplus(logits) - images * logits, axis=ROWS)


def pairwise_cross_entropy(
    images: Float[Tensor, "images height width channels"], logits: Float[Tensor, "latents height width parameters"]
) -> Float[Tensor, "images latents"]:
    """The binary cross-entropy of each of (n, …) images under each of (m, …) logits, shape (n, m)."""
    flat_images, flat_logits = flatten(images), flatten(logits)
    return ops.sum(ops.softplus(flat_logits), axis=-1) - ops.matmul(flat_images, ops.transpose(flat_logits))


def mean_in_range(location: Float[Tensor, "*#shape"], log_scale: Float[Tensor, "*#shape"]) -> Float[Tensor, "*#shape"]:
    """The mean of a logistic distribution whose values are cut off at 0 and 1: ∫ P(x > t) dt from 0 to 1.

    The bins change it by 1/510 at most.
    """
    scale = ops.exp(log_scale)
    return scale * (ops.softplus(location / scale) - ops.softplus((location - 1) / scale))


def log_bin_probability(
    images: Float[Tensor, "*#shape"], location: Float[Tensor, "*#shape"], log_scale: Float[Tensor, "*#shape"]
) -> Float[Tensor, "*#shape"]:
    """log P(level) of images in [0, 1] under a logistic distribution that is cut into 256 bins.

    Within the range it is log(σ(a) − σ(b)) for the two ends a > b of the bin, as −softplus(−a) − softplus(b) +
    log(1 − exp(b − a)), where the last term is log(2 sinh((a − b) / 2)) − (a − b) / 2: exact for ends that are close
    together, and ONNX has a sinh, but no expm1.
    """
    inverse = ops.exp(-log_scale)
    centre, half = (images - location) * inverse, HALF_BIN * inverse
    above, below = centre + half, centre - half
    inside = -ops.softplus(-above) - ops.softplus(below) + ops.log(2 * ops.sinh(half)) - half
    lowest, highest = -ops.softplus(-above), -ops.softplus(below)
    return ops.where(images < HALF_BIN, lowest, ops.where(images > 1 - HALF_BIN, highest, inside))


def as_rows(values: Float[Tensor, "*batch height width channels"]) -> Float[Tensor, "*batch height numbers"]:
    """Images or logits (…, height, width, channels) as rows of pixels (…, height, width · channels)."""
    height, width, channels = values.shape[-3:]
    return ops.reshape(values, (*ops.shape(values)[:-3], height, width * channels))


def flatten(images: Float[Tensor, "count ..."]) -> Float[Tensor, "count numbers"]:
    """Images or logits (n, …) as (n, numbers)."""
    return ops.reshape(images, (ops.shape(images)[0], -1))
