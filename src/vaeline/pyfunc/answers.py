"""The answers of a model in five modes. Requests that fit together are computed as one batch.

`reconstruct`, `encode` and `score` take images, `decode` takes latents, and `sample` draws images from the prior. Keras
is imported inside functions: MLflow imports this file to package a model, and packaging does not need Keras.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from jaxtyping import Float, Float32

from vaeline.images.types import Images, Labels

if TYPE_CHECKING:
    from vaeline.models.generative import GenerativeModel

Answer: TypeAlias = dict[str, Float[np.ndarray, "_count ..."]]
"""The arrays of an answer by name, one row for each image."""

ANY_LABEL = -1
DECIMALS = 6
MOST_SAMPLES = 10_000
MOST_SEED = 2**31 - 1
MOST_TEMPERATURE = 10.0


class UnanswerableError(ValueError):
    """A request that the model cannot answer, and the reason in one sentence. MLflow gives it status 400."""


@dataclass(frozen=True)
class ModelRequest:
    """A request to a model.

    values: images (count, height, width, channels) from 0 to 1, or for `decode` latents (count, latent_dim). `sample`
    ignores them.
    count: the number of samples.
    seed: the seed of the noise of `sample` and `score`.
    temperature: the factor on the noise of the prior, for `sample`.
    label: the class number of all images or samples; -1 gives none.
    maps: whether the service adds heat maps to the answer of `score`.
    """

    mode: str
    values: Float32[np.ndarray, "count ..."] = field(default_factory=lambda: np.zeros((0, 0), "float32"))
    count: int = 1
    seed: int = 1
    temperature: float = 1.0
    label: int = ANY_LABEL
    maps: bool = False

    @property
    def size(self) -> int:
        """The number of images or latents."""
        return self.count if self.mode == "sample" else len(self.values)

    @property
    def batch_key(self) -> tuple:
        """Requests with the same key can be computed as one batch."""
        conditioned = self.mode in ("reconstruct", "encode", "score") and self.label != ANY_LABEL
        return self.mode, conditioned, self.seed if self.mode == "score" else 0, self.maps


def answer(model: "GenerativeModel", request: ModelRequest) -> Answer:
    """The answer to one request. Raises UnanswerableError."""
    (found,) = answer_all(model, [request])
    if isinstance(found, UnanswerableError):
        raise found
    return found


def answer_all(model: "GenerativeModel", requests: Sequence[ModelRequest]) -> list[Answer | UnanswerableError]:
    """The answers to requests with the same batch key, computed as one batch.

    A request that the model cannot answer gets an UnanswerableError and does not affect the others.
    """
    refusals = [_refusal(model, request) for request in requests]
    accepted = [request for request, refusal in zip(requests, refusals, strict=True) if refusal is None]
    parts = iter(_split(MODES[requests[0].mode](model, accepted), accepted) if accepted else [])
    return [UnanswerableError(refusal) if refusal else _finite(next(parts)) for refusal in refusals]


def as_lists(found: Mapping[str, Float[np.ndarray, "_count ..."]]) -> dict[str, list]:
    """An answer as lists for JSON, rounded to six decimals."""
    return {name: np.round(values.astype("float64"), DECIMALS).tolist() for name, values in found.items()}


def _reconstruct(model: "GenerativeModel", requests: Sequence[ModelRequest]) -> Answer:
    from vaeline.evaluation.inference import decode, encode

    return {"images": decode(model, encode(model, *_images(requests))[0])}


def _encode(model: "GenerativeModel", requests: Sequence[ModelRequest]) -> Answer:
    from vaeline.evaluation.inference import encode

    z_mean, z_log_var = encode(model, *_images(requests))
    return {"z_mean": z_mean, "z_log_var": z_log_var}


def _score(model: "GenerativeModel", requests: Sequence[ModelRequest]) -> Answer:
    from vaeline.likelihood.bounds import elbo_scores

    images, labels = _images(requests)
    rows = np.concatenate([np.arange(request.size) for request in requests])
    return elbo_scores(model, images, rows, requests[0].seed, labels)


def _decode(model: "GenerativeModel", requests: Sequence[ModelRequest]) -> Answer:
    from vaeline.evaluation.inference import decode

    return {"images": decode(model, np.concatenate([request.values for request in requests]))}


def _sample(model: "GenerativeModel", requests: Sequence[ModelRequest]) -> Answer:
    from vaeline.evaluation.inference import decode, to_numpy

    drawn = [
        to_numpy(
            model.draw_latents(
                request.count, request.seed, request.temperature, None if request.label == ANY_LABEL else request.label
            )
        )
        for request in requests
    ]
    return {"images": decode(model, np.concatenate(drawn))}


MODES: dict[str, Callable[["GenerativeModel", Sequence[ModelRequest]], Answer]] = {
    "reconstruct": _reconstruct,
    "encode": _encode,
    "decode": _decode,
    "sample": _sample,
    "score": _score,
}


def _images(requests: Sequence[ModelRequest]) -> tuple[Images, Labels | None]:
    """The images of all requests and their labels; no labels if the requests give none."""
    images = np.concatenate([request.values for request in requests])
    labels = np.concatenate([np.full(request.size, request.label) for request in requests])
    return images, None if requests[0].label == ANY_LABEL else labels


def _split(joint: Answer, requests: Sequence[ModelRequest]) -> list[Answer]:
    """The answer to each request, from the answer to the whole batch."""
    ends = np.cumsum([request.size for request in requests])
    return [
        {name: values[end - request.size : end] for name, values in joint.items()}
        for request, end in zip(requests, ends, strict=True)
    ]


def _finite(part: Answer) -> Answer | UnanswerableError:
    for name, values in part.items():
        if not np.isfinite(values).all():
            return UnanswerableError(
                f"the model's {name} for this input are not finite; the input is too far from the training data"
            )
    return part


def _refusal(model: "GenerativeModel", request: ModelRequest) -> str | None:
    """The reason why the model cannot answer a request, as one sentence; None if it can."""
    if not 0 <= request.seed <= MOST_SEED:
        return f"seed must be 0 to {MOST_SEED}, got {request.seed}"
    if request.mode == "sample":
        return _refusal_to_sample(request) or _refusal_of_label(model, request.label)
    if request.mode == "decode":
        return _refusal_of_latents(model, request.values)
    return _refusal_of_images(model, request.values) or _refusal_of_label(model, request.label)


def _refusal_to_sample(request: ModelRequest) -> str | None:
    if not 1 <= request.count <= MOST_SAMPLES:
        return f"n must be 1 to {MOST_SAMPLES}, got {request.count}"
    if not 0 <= request.temperature <= MOST_TEMPERATURE:
        return f"temperature must be 0 to {MOST_TEMPERATURE:g}, got {request.temperature}"
    return None


def _refusal_of_label(model: "GenerativeModel", label: int) -> str | None:
    if label == ANY_LABEL:
        return None
    if not model.is_conditional:
        return f"label must be -1: this model ({model.title}) is not conditioned on classes; got {label}"
    if not 0 <= label < model.classes:
        return f"label must be -1 (no label) to {model.classes - 1}, got {label}"
    return None


def _refusal_of_latents(model: "GenerativeModel", latents: Float32[np.ndarray, "..."]) -> str | None:
    if latents.ndim != 2 or latents.shape[1] != model.latent_dim or not len(latents):
        return f"this model ({model.title}) takes latents of shape (n, {model.latent_dim}), got {latents.shape}"
    return None if np.isfinite(latents).all() else "latents must be finite numbers"


def _refusal_of_images(model: "GenerativeModel", images: Float32[np.ndarray, "..."]) -> str | None:
    if images.shape[1:] != model.image.shape or not len(images):
        return f"images must have shape (n, {', '.join(map(str, model.image.shape))}), got {images.shape}"
    if not (np.isfinite(images).all() and images.min() >= 0 and images.max() <= 1):
        return f"pixels must be between 0 and 1, got {images.min()} to {images.max()}"
    return None
