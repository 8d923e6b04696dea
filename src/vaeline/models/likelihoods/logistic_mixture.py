"""Colour pixels of 256 levels: a mixture of discretised logistics (PixelCNN++, Salimans et al. 2017, arXiv:1701.05517).

Green is conditioned on red, and blue on both, by coefficients that the decoder gives for each pixel.
"""

import numpy as np
from jaxtyping import Float
from keras import ops

from vaeline.images.types import Tensor
from vaeline.models.likelihood import FIRST_LOG_SCALE, LOG_SCALES, Likelihood, log_bin_probability, mean_in_range

COMPONENTS = 5
FIRST_SPREAD = 0.2
MIDDLE = 0.5


class LogisticMixture(Likelihood):
    """The joint probability of the 8-bit levels of all channels of a pixel.

    A pixel of C channels has logits (components, 1 + 2 C + C (C − 1) / 2). Those of a component are its log weight,
    the locations and the log scales of the channels, and the coefficients of the earlier channels.
    """

    levels = 256
    has_pairwise = False

    def logits_per_pixel(self, channels: int) -> int:
        return COMPONENTS * (1 + 2 * channels + channels * (channels - 1) // 2)

    def mean(
        self, logits: Float[Tensor, "*batch height width parameters"]
    ) -> Float[Tensor, "*batch height width channels"]:
        """The expected images; each channel is conditioned on the expected values of the earlier channels."""
        log_weights, locations, log_scales, coefficients = _parts(logits)
        means: list[Tensor] = []
        for channel in range(locations.shape[-1]):
            location = _conditioned(locations[..., channel], means, coefficients, channel)
            means.append(mean_in_range(location, log_scales[..., channel]))
        return ops.sum(ops.exp(log_weights)[..., None] * ops.stack(means, axis=-1), axis=-2)

    def nll(
        self,
        images: Float[Tensor, "*#batch height width channels"],
        logits: Float[Tensor, "*#batch height width parameters"],
    ) -> Float[Tensor, "*#batch"]:
        log_probability, locations, log_scales, coefficients = _parts(logits)
        values = [images[..., channel, None] for channel in range(locations.shape[-1])]
        for channel, value in enumerate(values):
            location = _conditioned(locations[..., channel], values[:channel], coefficients, channel)
            log_probability = log_probability + log_bin_probability(value, location, log_scales[..., channel])
        return -ops.sum(ops.logsumexp(log_probability, axis=-1), axis=(-2, -1))

    def initial_logits(self, mean: Float[np.ndarray, "*place channels"]) -> Float[np.ndarray, "*place parameters"]:
        """Components of equal weight and scale, spread around the mean."""
        channels = mean.shape[-1]
        spread = np.linspace(-FIRST_SPREAD, FIRST_SPREAD, COMPONENTS)[:, None]
        logits = np.zeros((*mean.shape[:-1], COMPONENTS, self.logits_per_pixel(channels) // COMPONENTS))
        logits[..., 1 : 1 + channels] = mean[..., None, :] + spread
        logits[..., 1 + channels : 1 + 2 * channels] = FIRST_LOG_SCALE
        return logits.reshape(*mean.shape[:-1], -1)


def _parts(logits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Log weights (…, components); locations, log scales (…, components, channels); coefficients between −1 and 1."""
    size = logits.shape[-1] // COMPONENTS
    channels = 1 if size == 3 else 3
    parts = ops.reshape(logits, (*ops.shape(logits)[:-1], COMPONENTS, size))
    locations, log_scales = parts[..., 1 : 1 + channels], parts[..., 1 + channels : 1 + 2 * channels]
    return (
        ops.log_softmax(parts[..., 0], axis=-1),
        locations,
        ops.clip(log_scales, *LOG_SCALES),
        ops.tanh(parts[..., 1 + 2 * channels :]),
    )


def _conditioned(location: Tensor, before: list[Tensor], coefficients: Tensor, channel: int) -> Tensor:
    """The location of a channel, moved by the differences of the earlier channels from the middle of the range."""
    first = channel * (channel - 1) // 2
    for index, value in enumerate(before):
        location = location + coefficients[..., first + index] * (value - MIDDLE)
    return location


LIKELIHOOD = LogisticMixture
