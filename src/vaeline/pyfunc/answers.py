"""What a model answers, whoever serves it: five modes, and several requests computed as one.

`reconstruct`, `encode` and `score` take images, `decode` takes latents, `sample` draws images from the prior. Keras is
imported late: MLflow imports this file to package a model, too, and packaging needs none of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from vaeline.models.generative import GenerativeModel

Answer = dict[str, np.ndarray]
ANY_LABEL = -1
DECIMALS = 6
MOST_SAMPLES = 10_000
MOST_SEED = 2**31 - 1
MOST_TEMPERATURE = 10.0


class UnanswerableError(ValueError):
    """What a model cannot answer, in one sentence; a ValueError, which MLflow answers with status 400."""


@dataclass(frozen=True)
class Ask:
    """One request.

    `values` are float32: images (n, height, width, channels), latents (n, latent_dim), or nothing to sample.
    `label` is the class of all the images or samples, by its number; -1 says nothing of it. `seed` is that of the
    noise of sample and score, `count` and `temperature` are those of sample.
    """

    mode: str
    values: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), "float32"))
    count: int = 1
    seed: int = 1
    temperature: float = 1.0
    label: int = ANY_LABEL

    @property
    def size(self) -> int:
        """How many images or latents it is about."""
        return self.count if self.mode == "sample" else len(self.values)

    @property
    def batch_key(self) -> tuple:
        """Requests with equal keys may be computed together."""
        conditioned = self.mode in ("reconstruct", "encode", "score") and self.label != ANY_LABEL
        return self.mode, conditioned, self.seed if self.mode == "score" else 0


def answer(model: "GenerativeModel", ask: Ask) -> Answer:
    """The answer, arrays by name with one row an image. Raises UnanswerableError."""
    (found,) = answer_all(model, [ask])
    if isinstance(found, UnanswerableError):
        raise found
    return found


def answer_all(model: "GenerativeModel", asks: Sequence[Ask]) -> list[Answer | UnanswerableError]:
    """The answers to requests with one batch key, computed together; an UnanswerableError where there is no answer."""
    refusals = [_refusal(model, ask) for ask in asks]
    accepted = [ask for ask, refusal in zip(asks, refusals, strict=True) if refusal is None]
    parts = iter(_split(MODES[asks[0].mode](model, accepted), accepted) if accepted else [])
    return [UnanswerableError(refusal) if refusal else _finite(next(parts)) for refusal in refusals]


def as_lists(found: Answer) -> dict[str, list]:
    """An answer as JSON can hold it, rounded to six places."""
    return {name: np.round(values.astype("float64"), DECIMALS).tolist() for name, values in found.items()}


def _reconstruct(model, asks):
    from vaeline.evaluation.inference import decode, encode

    return {"images": decode(model, encode(model, *_images(asks))[0])}


def _encode(model, asks):
    from vaeline.evaluation.inference import encode

    z_mean, z_log_var = encode(model, *_images(asks))
    return {"z_mean": z_mean, "z_log_var": z_log_var}


def _score(model, asks):
    from vaeline.likelihood.bounds import elbo_scores

    images, labels = _images(asks)
    rows = np.concatenate([np.arange(ask.size) for ask in asks])
    return elbo_scores(model, images, rows, asks[0].seed, labels)


def _decode(model, asks):
    from vaeline.evaluation.inference import decode

    return {"images": decode(model, np.concatenate([ask.values for ask in asks]))}


def _sample(model, asks):
    from keras import ops

    from vaeline.evaluation.inference import decode

    drawn = [
        ops.convert_to_numpy(
            model.draw_latents(ask.count, ask.seed, ask.temperature, None if ask.label == ANY_LABEL else ask.label)
        )
        for ask in asks
    ]
    return {"images": decode(model, np.concatenate(drawn))}


MODES = {"reconstruct": _reconstruct, "encode": _encode, "decode": _decode, "sample": _sample, "score": _score}


def _images(asks):
    """The images of all requests, and their labels where the model is conditioned on them."""
    images = np.concatenate([ask.values for ask in asks])
    labels = np.concatenate([np.full(ask.size, ask.label) for ask in asks])
    return images, None if asks[0].label == ANY_LABEL else labels


def _split(joint: Answer, asks: Sequence[Ask]) -> list[Answer]:
    ends = np.cumsum([ask.size for ask in asks])
    return [
        {name: values[end - ask.size : end] for name, values in joint.items()}
        for ask, end in zip(asks, ends, strict=True)
    ]


def _finite(part: Answer) -> Answer | UnanswerableError:
    for name, values in part.items():
        if not np.isfinite(values).all():
            return UnanswerableError(f"the model's {name} for this input are not finite: it lies too far from its data")
    return part


def _refusal(model: "GenerativeModel", ask: Ask) -> str | None:
    """Why this model cannot answer, one sentence, or None."""
    if not 0 <= ask.seed <= MOST_SEED:
        return f"seed must be 0 to {MOST_SEED}, got {ask.seed}"
    if ask.mode == "sample":
        return _refusal_to_sample(ask) or _refusal_of_label(model, ask.label)
    if ask.mode == "decode":
        return _refusal_of_latents(model, ask.values)
    return _refusal_of_images(model, ask.values) or _refusal_of_label(model, ask.label)


def _refusal_to_sample(ask: Ask) -> str | None:
    if not 1 <= ask.count <= MOST_SAMPLES:
        return f"n must be 1 to {MOST_SAMPLES}, got {ask.count}"
    if not 0 <= ask.temperature <= MOST_TEMPERATURE:
        return f"temperature must be 0 to {MOST_TEMPERATURE:g}, got {ask.temperature}"
    return None


def _refusal_of_label(model: "GenerativeModel", label: int) -> str | None:
    if label == ANY_LABEL:
        return None
    if not model.is_conditional:
        return f"label must be -1: this model ({model.title}) is not conditioned on classes; got {label}"
    if not 0 <= label < model.classes:
        return f"label must be -1 (no label) to {model.classes - 1}, got {label}"
    return None


def _refusal_of_latents(model: "GenerativeModel", latents: np.ndarray) -> str | None:
    if latents.ndim != 2 or latents.shape[1] != model.latent_dim or not len(latents):
        return f"this model ({model.title}) takes latents of shape (n, {model.latent_dim}), got {latents.shape}"
    return None if np.isfinite(latents).all() else "latents must be finite numbers"


def _refusal_of_images(model: "GenerativeModel", images: np.ndarray) -> str | None:
    if images.shape[1:] != model.image.shape or not len(images):
        return f"images must have shape (n, {', '.join(map(str, model.image.shape))}), got {images.shape}"
    if not (np.isfinite(images).all() and images.min() >= 0 and images.max() <= 1):
        return f"pixels must lie between 0 and 1, got {images.min()} to {images.max()}"
    return None
