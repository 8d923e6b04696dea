"""What a decoder's output says of an image: the likelihoods of pixels given logits.

Images and logits have shape (batch, height, width); likelihoods are in nats per image. Each likelihood answers
`mean(logits)`, the expected image in [0, 1]; `nll(images, logits)`, −log p(x|z) of each image, shape (batch,), which
may be negative for a density; and `pairwise_nll(images, logits)`, that of each image under each latent, shape (images,
latents), by one matrix product.
"""

import math

import keras
from keras import ops

PIXELS = (-2, -1)
LEAST_LOG_SIGMA = -6.0


class Bernoulli:
    """Pixels in [0, 1] as probabilities of ink; for greys this is the expected binary cross-entropy."""

    def mean(self, logits):
        return ops.sigmoid(logits)

    def nll(self, images, logits):
        return ops.sum(ops.softplus(logits) - images * logits, axis=PIXELS)

    def pairwise_nll(self, images, logits):
        flat_images, flat_logits = _flatten(images), _flatten(logits)
        return ops.sum(ops.softplus(flat_logits), axis=-1) - ops.matmul(flat_images, ops.transpose(flat_logits))


class ContinuousBernoulli(Bernoulli):
    """Greys in [0, 1] with a density ∝ exp(logit · x) (Loaiza-Ganem & Cunningham 2019, arXiv:1907.06845)."""

    def mean(self, logits):
        small = ops.abs(logits) < 1e-2
        safe = ops.where(small, 1.0, logits)
        return ops.where(small, 0.5 + logits / 12, 0.5 / ops.tanh(safe / 2) + 0.5 - 1 / safe)

    def nll(self, images, logits):
        return super().nll(images, logits) - ops.sum(_log_normalizer(logits), axis=PIXELS)

    def pairwise_nll(self, images, logits):
        return super().pairwise_nll(images, logits) - ops.sum(_log_normalizer(logits), axis=PIXELS)


class Gaussian:
    """Pixels with one fixed standard deviation `sigma` around sigmoid(logits)."""

    def __init__(self, sigma: float):
        self.log_sigma = math.log(sigma)

    def mean(self, logits):
        return ops.sigmoid(logits)

    def nll(self, images, logits):
        squared_error = ops.sum(ops.square(images - self.mean(logits)), axis=PIXELS)
        return self._from_squared_error(squared_error, images)

    def pairwise_nll(self, images, logits):
        flat_images, means = _flatten(images), _flatten(self.mean(logits))
        squared_error = (
            ops.sum(ops.square(flat_images), axis=-1, keepdims=True)
            + ops.sum(ops.square(means), axis=-1)
            - 2 * ops.matmul(flat_images, ops.transpose(means))
        )
        return self._from_squared_error(squared_error, images)

    def _from_squared_error(self, squared_error, images):
        pixels = math.prod(images.shape[-2:])
        return 0.5 * squared_error * ops.exp(-2 * self.log_sigma) + pixels * (
            self.log_sigma + 0.5 * math.log(2 * math.pi)
        )


class CalibratedGaussian(Gaussian, keras.layers.Layer):
    """Pixels with one learned standard deviation (σ-VAE, Rybkin et al. 2021, arXiv:2006.13202), at least e^−6."""

    def __init__(self):
        keras.layers.Layer.__init__(self, name="calibrated_gaussian")
        self.raw_log_sigma = self.add_weight(shape=(), initializer="zeros", name="raw_log_sigma")
        self.built = True

    @property
    def log_sigma(self):
        """log σ, held above its floor without a kink."""
        return LEAST_LOG_SIGMA + ops.softplus(self.raw_log_sigma - LEAST_LOG_SIGMA)


def build_likelihood(name: str, sigma: float) -> Bernoulli | Gaussian:
    """The likelihood called `name`; `sigma` is the `gaussian`'s standard deviation of a pixel.

    `mse` is the Gaussian of variance 1/2: its nats are the squared error summed over pixels, and a constant.
    """
    return {
        "bernoulli": Bernoulli,
        "continuous_bernoulli": ContinuousBernoulli,
        "gaussian": lambda: Gaussian(sigma),
        "calibrated_gaussian": CalibratedGaussian,
        "mse": lambda: Gaussian(math.sqrt(0.5)),
    }[name]()


def _flatten(images):
    return ops.reshape(images, (ops.shape(images)[0], -1))


def _log_normalizer(logits):
    """log C(λ) of the continuous Bernoulli: log(logit / tanh(logit / 2)), which is log 2 at 0."""
    small = ops.abs(logits) < 1e-2
    safe = ops.where(small, 1.0, logits)
    return ops.log(ops.where(small, 2 + ops.square(logits) / 6, safe / ops.tanh(safe / 2)))
