"""What a person wants to see of a window."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from vaeline.data.prepared import scale
from vaeline.latents.traversal import plane_view
from vaeline.likelihood.figure import draw_hardest
from vaeline.models.generative import GenerativeModel
from vaeline.monitoring.decision import Judged
from vaeline.monitoring.figure import draw_effects, draw_latents, draw_mix, draw_scores
from vaeline.monitoring.observables import Observed
from vaeline.monitoring.two_sample_tests import TITLES, class_counts
from vaeline.scores import NATS, title_of

UNUSUAL = 16


def draw_figures(
    model: GenerativeModel,
    reference: Observed,
    window: Observed,
    images: np.ndarray,
    tests: Sequence[Judged],
    classes: Sequence[str],
    alpha: float,
) -> dict[str, Figure]:
    """The figures of the page by their titles; `images` (count, height, width) uint8 are those of the window."""
    table = pd.DataFrame([asdict(test) for test in tests]).assign(title=[TITLES[test.name] for test in tests])
    points, names = plane_view(np.concatenate([reference.latents, window.latents]))
    figures = {
        "Effects": draw_effects(table, alpha, "how far the window is from the reference, and how far it may be"),
        "Scores": draw_scores(reference.scores, window.scores, TITLES, NATS, "what the champion makes of the images"),
        "Latents": draw_latents(points[: len(reference)], points[len(reference) :], names, "means of the posteriors"),
        "The most unusual images": _draw_unusual(model, window, images),
    }
    if window.labels is not None:
        figures["Class mix"] = _draw_mix(reference.labels, window.labels, classes)
    return figures


def _draw_unusual(model: GenerativeModel, window: Observed, images: np.ndarray) -> Figure:
    loss = window.scores[window.loss]
    worst = np.argsort(-loss, kind="stable")[:UNUSUAL]
    shown = scale(images[worst])
    notes = [f"{loss[row]:.0f}" for row in worst]
    title = f"highest {title_of(window.loss)} of the window, {NATS}"
    return draw_hardest(shown, np.asarray(model.reconstruct(shown)), notes, title)


def _draw_mix(reference: np.ndarray, window: np.ndarray, classes: Sequence[str]) -> Figure:
    counts = class_counts(reference, window)
    present = np.unique(np.concatenate([reference, window]))
    names = [classes[label] if label < len(classes) else f"unknown {label - len(classes) + 1}" for label in present]
    shares = counts / counts.sum(axis=1, keepdims=True)
    return draw_mix(shares[0], shares[1], names, "which classes the labels say")
