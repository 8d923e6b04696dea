"""Binary pixels; a value between 0 and 1 counts as the probability of a 1."""

from jaxtyping import Float
from keras import ops

from vaeline.images.types import Tensor
from vaeline.models.likelihoods.base import ROWS, Likelihood, flatten


class Bernoulli(Likelihood):
    """Pixels that are 1 with probability sigmoid(logit); for values between, the expected binary cross-entropy."""

    levels = 2

    def mean(self, logits: Float[Tensor, "*batch parameters"]) -> Float[Tensor, "*batch channels"]:
        return ops.sigmoid(logits)

    def rows_nll(
        self, images: Float[Tensor, "*#batch height channels"], logits: Float[Tensor, "*#batch height parameters"]
    ) -> Float[Tensor, "*#batch"]:
        return ops.sum(ops.softplus(logits) - images * logits, axis=ROWS)

    def pairwise_nll(
        self,
        images: Float[Tensor, "images height width channels"],
        logits: Float[Tensor, "latents height width parameters"],
    ) -> Float[Tensor, "images latents"]:
        flat_images, flat_logits = flatten(images), flatten(logits)
        return ops.sum(ops.softplus(flat_logits), axis=-1) - ops.matmul(flat_images, ops.transpose(flat_logits))
