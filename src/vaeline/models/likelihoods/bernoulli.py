"""Binary pixels; a value between 0 and 1 counts as the probability of a 1."""

from jaxtyping import Float
from keras import ops

from vaeline.images.types import Tensor
from vaeline.models.likelihood import Likelihood, cross_entropy, pairwise_cross_entropy


class Bernoulli(Likelihood):
    """Pixels that are 1 with probability sigmoid(logit); for values between, the expected binary cross-entropy."""

    levels = 2

    def mean(self, logits: Float[Tensor, "*batch parameters"]) -> Float[Tensor, "*batch channels"]:
        return ops.sigmoid(logits)

    def rows_nll(
        self, images: Float[Tensor, "*#batch height channels"], logits: Float[Tensor, "*#batch height parameters"]
    ) -> Float[Tensor, "*#batch"]:
        return cross_entropy(images, logits)

    def pairwise_nll(
        self,
        images: Float[Tensor, "images height width channels"],
        logits: Float[Tensor, "latents height width parameters"],
    ) -> Float[Tensor, "images latents"]:
        return pairwise_cross_entropy(images, logits)


LIKELIHOOD = Bernoulli
