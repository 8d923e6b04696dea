"""Binary pixels; a value between 0 and 1 counts as the probability of a 1."""

from keras import ops

from vaeline.models.likelihoods.base import ROWS, Likelihood, flatten


class Bernoulli(Likelihood):
    """Pixels that are 1 with probability sigmoid(logit); for values between, the expected binary cross-entropy."""

    levels = 2

    def mean(self, logits):
        return ops.sigmoid(logits)

    def rows_nll(self, images, logits):
        return ops.sum(ops.softplus(logits) - images * logits, axis=ROWS)

    def pairwise_nll(self, images, logits):
        flat_images, flat_logits = flatten(images), flatten(logits)
        return ops.sum(ops.softplus(flat_logits), axis=-1) - ops.matmul(flat_images, ops.transpose(flat_logits))
