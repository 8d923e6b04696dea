"""Pixels with one fixed standard deviation."""

import math

from jaxtyping import Float
from keras import ops

from vaeline.images.types import Tensor
from vaeline.models.likelihoods.base import ROWS, Likelihood, flatten


class Gaussian(Likelihood):
    """Pixels with one fixed standard deviation `sigma` around sigmoid(logits)."""

    def __init__(self, sigma: float):
        self.log_sigma = math.log(sigma)

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
