"""Pixels in [0, 1] with the density of a continuous Bernoulli (Loaiza-Ganem & Cunningham 2019, arXiv:1907.06845)."""

from jaxtyping import Float
from keras import ops

from vaeline.images.types import Tensor
from vaeline.models.likelihood import ROWS, Likelihood, as_rows, cross_entropy, pairwise_cross_entropy


class ContinuousBernoulli(Likelihood):
    """Pixels in [0, 1] with a density ∝ exp(logit · x)."""

    def mean(self, logits: Float[Tensor, "*batch parameters"]) -> Float[Tensor, "*batch channels"]:
        small = ops.abs(logits) < 1e-2
        safe = ops.where(small, 1.0, logits)
        return ops.where(small, 0.5 + logits / 12, 0.5 / ops.tanh(safe / 2) + 0.5 - 1 / safe)

    def rows_nll(
        self, images: Float[Tensor, "*#batch height channels"], logits: Float[Tensor, "*#batch height parameters"]
    ) -> Float[Tensor, "*#batch"]:
        return cross_entropy(images, logits) - ops.sum(_log_normalizer(logits), axis=ROWS)

    def pairwise_nll(
        self,
        images: Float[Tensor, "images height width channels"],
        logits: Float[Tensor, "latents height width parameters"],
    ) -> Float[Tensor, "images latents"]:
        return pairwise_cross_entropy(images, logits) - ops.sum(_log_normalizer(as_rows(logits)), axis=ROWS)


def _log_normalizer(logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """log C(λ) of the continuous Bernoulli: log(logit / tanh(logit / 2)), which is log 2 at 0."""
    small = ops.abs(logits) < 1e-2
    safe = ops.where(small, 1.0, logits)
    return ops.log(ops.where(small, 2 + ops.square(logits) / 6, safe / ops.tanh(safe / 2)))


LIKELIHOOD = ContinuousBernoulli
