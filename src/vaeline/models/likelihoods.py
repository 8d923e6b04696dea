"""What a decoder's output says of an image: the likelihoods of pixels given logits.

Images and logits have shape (batch, height, width); likelihoods are in nats per image.
"""

import math

from keras import ops

PIXELS = (-2, -1)


class Bernoulli:
    """Pixels in [0, 1] as probabilities of ink; for greys this is the expected binary cross-entropy."""

    def mean(self, logits):
        """The expected image, in [0, 1]."""
        return ops.sigmoid(logits)

    def nll(self, images, logits):
        """−log p(x|z) of each image, shape (batch,)."""
        return ops.sum(ops.softplus(logits) - images * logits, axis=PIXELS)

    def pairwise_nll(self, images, logits):
        """−log p(x_i|z_j) of each image under each latent, shape (images, latents), by one matrix product."""
        flat_images, flat_logits = _flatten(images), _flatten(logits)
        return ops.sum(ops.softplus(flat_logits), axis=-1) - ops.matmul(flat_images, ops.transpose(flat_logits))


class Gaussian:
    """Pixels with one fixed standard deviation `sigma` around sigmoid(logits)."""

    def __init__(self, sigma: float):
        self.sigma = sigma

    def mean(self, logits):
        """The expected image, in [0, 1]."""
        return ops.sigmoid(logits)

    def nll(self, images, logits):
        """−log p(x|z) of each image, shape (batch,); a density, so it may be negative."""
        squared_error = ops.sum(ops.square(images - self.mean(logits)), axis=PIXELS)
        return squared_error / (2 * self.sigma**2) + self._log_normalizer(images)

    def pairwise_nll(self, images, logits):
        """−log p(x_i|z_j) of each image under each latent, shape (images, latents), by one matrix product."""
        flat_images, means = _flatten(images), _flatten(self.mean(logits))
        squared_error = (
            ops.sum(ops.square(flat_images), axis=-1, keepdims=True)
            + ops.sum(ops.square(means), axis=-1)
            - 2 * ops.matmul(flat_images, ops.transpose(means))
        )
        return squared_error / (2 * self.sigma**2) + self._log_normalizer(images)

    def _log_normalizer(self, images) -> float:
        return math.prod(images.shape[-2:]) * (math.log(self.sigma) + 0.5 * math.log(2 * math.pi))


def build_likelihood(name: str, sigma: float) -> Bernoulli | Gaussian:
    """The likelihood called `name`; `sigma` is the Gaussian's standard deviation of a pixel."""
    return {"bernoulli": Bernoulli, "gaussian": lambda: Gaussian(sigma)}[name]()


def _flatten(images):
    return ops.reshape(images, (ops.shape(images)[0], -1))
