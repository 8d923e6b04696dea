"""What the latents of a model do, seen from its prior and its decoder alone: no data is at hand where it is served."""

from dataclasses import dataclass

import numpy as np
from keras import ops

from vaeline.evaluation.inference import decode
from vaeline.models.generative import GenerativeModel

DRAWN = 500
REACH = 2.0


@dataclass(frozen=True)
class Axis:
    """One latent: its mean and standard deviation under the prior, and how much of the image it moves.

    effect: the mean squared change of a pixel when the latent goes two standard deviations from its mean, either way,
    and the others stay at theirs.
    """

    index: int
    mean: float
    deviation: float
    effect: float


def survey_latents(model: GenerativeModel) -> tuple[Axis, ...]:
    """All latents but a label, the busiest first; none of a model with codes, which cannot be moved by degrees."""
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
