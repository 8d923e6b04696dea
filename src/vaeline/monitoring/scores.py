"""The champion's scores and latents of the images of a window and of the reference."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from vaeline.errors import VaelineError
from vaeline.evaluation.inference import encode
from vaeline.evaluation.noise import binary_pixels
from vaeline.images.lazy import LazyImages
from vaeline.images.types import ByteImages, Labels
from vaeline.likelihood.bounds import posterior_scores
from vaeline.models.generative import GenerativeModel
from vaeline.monitoring.facts import WindowFacts
from vaeline.params.monitor import MonitorParams
from vaeline.scores import ELBO_PARTS, loss_of


@dataclass(frozen=True)
class Observed:
    """Scores by name, each (count,), in nats per image; latents `z_mean` (count, latent_dim); labels (count,) or None.

    A model without a bound has only the reconstruction.
    """

    scores: dict[str, Float[np.ndarray, " count"]]
    latents: Float[np.ndarray, "count latent_dim"]
    labels: Labels | None = None

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def loss(self) -> str:
        """The score that says how unusual an image is: −ELBO, or the reconstruction if there is no bound."""
        return loss_of(self.scores)

    def take(self, rows: Integer[np.ndarray, " rows"]) -> "Observed":
        """The scores, latents and labels of the images in `rows`."""
        labels = None if self.labels is None else self.labels[rows]
        return Observed({name: values[rows] for name, values in self.scores.items()}, self.latents[rows], labels)


def observe(model: GenerativeModel, images: ByteImages, labels: Labels | None, seed: int) -> Observed:
    """The scores, latents and labels of uint8 images (count, height, width, channels).

    An image's noise is a function of (seed, row), the same for every set of images. The model is not conditioned on the
    labels, because a wrong label must not change an image's scores.

    Raises:
        VaelineError: a score is not finite.
    """
    rows, pixels = np.arange(len(images)), LazyImages.of_bytes(images)
    if model.params.binarize:
        pixels = pixels.changed(lambda part, chosen: binary_pixels(part, seed, chosen))
    z_mean, z_log_var = encode(model, pixels)
    found = posterior_scores(model, pixels, z_mean, z_log_var, rows, seed)
    scores = {name: found[name] for name in ELBO_PARTS if name in found}
    wrong = ~np.isfinite(z_mean).all(axis=1) | ~np.isfinite(list(scores.values())).all(axis=0)
    if wrong.any():
        raise VaelineError(f"the champion has no finite score for {wrong.sum()} of {len(images)} images")
    return Observed(scores, z_mean, labels)


@dataclass(frozen=True)
class WindowScores:
    """The input of the checks; `images` (count, height, width, channels) uint8 are the scored images of the window."""

    reference: Observed
    window: Observed
    images: ByteImages


def take_scores(facts: WindowFacts, settings: MonitorParams) -> WindowScores:
    """Score images of the reference and of the window, both drawn by `monitor.seed`.

    Raises:
        VaelineError: a score is not finite.
    """
    reference = observe(facts.model, *facts.reference.draw(settings), settings.seed)
    images, labels = facts.window.draw(settings)
    return WindowScores(reference, observe(facts.model, images, labels, settings.seed), images)
