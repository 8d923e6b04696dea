"""The effect of each latent on the image, from the prior and the decoder alone: a server has no data."""

from dataclasses import dataclass

import numpy as np
from keras import ops

from vaeline.evaluation.inference import decode
from vaeline.models.generative import GenerativeModel

DRAWN = 500
REACH = 2.0


@dataclass(frozen=True)
class Axis:
    """One latent: its mean and standard deviation under the prior, and its effect on the image.

    effect: the mean squared change of a pixel when this latent moves by two standard deviations from its mean in both
    directions, and the others keep their means.
    """

    index: int
    mean: float
    deviation: float
    effect: float


def survey_latents(model: GenerativeModel) -> tuple[Axis, ...]:
    """All latents without the label, the one with the largest effect first.

    Empty for a model with codes, because its latents cannot be changed a little.
    """
    if model.has_codes:
        return ()
    free = model.latent_dim - model.label_dim
    drawn = ops.convert_to_numpy(model.draw_latents(DRAWN, 0)).astype("float64")
    mean, deviation = drawn.mean(axis=0), drawn.std(axis=0)
    mean[free:] = np.eye(1, model.label_dim)[0]
    steps = REACH * np.diag(deviation)[:free]
    images = decode(model, np.concatenate([mean[None], mean + steps, mean - steps]).astype("float32"))
    change = ((images[1:] - images[0]) ** 2).mean(axis=(1, 2, 3)).reshape(2, free).mean(axis=0)
    return tuple(
        Axis(int(index), *(round(float(values[index]), 6) for values in (mean, deviation, change)))
        for index in np.argsort(-change, kind="stable")
    )
