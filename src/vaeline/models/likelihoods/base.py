"""The base class of likelihoods: how likely an image is, given the logits of a decoder."""

import math
from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float
from keras import ops

from vaeline.images.types import Tensor

ROWS = (-2, -1)
BIAS_BOUND = 5.0


class Likelihood(ABC):
    """A distribution over images (…, height, width, channels) in [0, 1], given logits.

    Logits have the shape (…, height, width, channels · parameters). All likelihoods are in nats per image, summed over
    height, width and channels; that of a density may be negative.
    """

    parameters = 1
    """How many logits a decoder gives for each channel of a pixel."""
    levels: int | None = None
    """How many values a channel of a pixel can have: 2 where pixels are binary, None where they have a density."""

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

    @abstractmethod
    def rows_nll(
        self, images: Float[Tensor, "*#batch height channels"], logits: Float[Tensor, "*#batch height parameters"]
    ) -> Float[Tensor, "*#batch"]:
        """`nll` of images and logits (…, height, width · channels): the sum over the last two axes.

        There is no axis of channels, so that XLA adds the pixels of a grey image in the same order as earlier versions.
        """

    @abstractmethod
    def pairwise_nll(
        self,
        images: Float[Tensor, "images height width channels"],
        logits: Float[Tensor, "latents height width parameters"],
    ) -> Float[Tensor, "images latents"]:
        """−log p(x|z) of each image (n, …) for each of the logits (m, …), shape (n, m), by one matrix product."""

    def initial_logits(self, mean: Float[np.ndarray, "*place channels"]) -> Float[np.ndarray, "*place parameters"]:
        """The decoder's first logits (…, channels · parameters), from the mean (…, channels) of the training images.

        They are logit(mean), clipped to ±5 (Burda et al. 2015, appendix).
        """
        floor = 1 / (1 + math.exp(BIAS_BOUND))
        probability = np.clip(mean, floor, 1 - floor)
        return np.log(probability) - np.log1p(-probability)


def as_rows(values: Float[Tensor, "*batch height width channels"]) -> Float[Tensor, "*batch height numbers"]:
    """Images or logits (…, height, width, channels) as rows of pixels (…, height, width · channels)."""
    height, width, channels = values.shape[-3:]
    return ops.reshape(values, (*ops.shape(values)[:-3], height, width * channels))


def flatten(images: Float[Tensor, "count ..."]) -> Float[Tensor, "count numbers"]:
    """Images or logits (n, …) as (n, numbers)."""
    return ops.reshape(images, (ops.shape(images)[0], -1))
