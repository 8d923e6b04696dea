"""Figures of a window of new images beside the reference, and all those of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
from jaxtyping import Float, Integer
from matplotlib.figure import Figure

from vaeline.images.arrays import to_unit
from vaeline.images.types import ByteImages
from vaeline.latents.traversal import plane_view
from vaeline.likelihood.figure import draw_hardest
from vaeline.models.generative import GenerativeModel
from vaeline.monitoring.checks import DriftCheck
from vaeline.monitoring.facts import WindowFacts
from vaeline.monitoring.scores import Observed, WindowScores
from vaeline.monitoring.two_sample_tests import TITLES, class_counts
from vaeline.scores import NATS, title_of

BINS = 60
INNER, USUAL = (0.5, 99.5), (2, 95)
REFERENCE, WINDOW = "tab:gray", "tab:blue"
COLORS = {True: "tab:red", False: "tab:green"}
UNUSUAL = 16


def draw_figures(
    facts: WindowFacts, scores: WindowScores, checks: Sequence[DriftCheck], alpha: float
) -> dict[str, Figure]:
    """The figures of the page by their titles."""
    reference, window = scores.reference, scores.window
    table = pd.DataFrame([asdict(test) for test in checks]).assign(title=[TITLES[test.name] for test in checks])
    points, names = plane_view(np.concatenate([reference.latents, window.latents]))
    figures = {
        "Effects": draw_effects(table, alpha, "effects in the window, and the least effects"),
        "Scores": draw_scores(reference.scores, window.scores, TITLES, NATS, "the champion's scores of the images"),
        "Latents": draw_latents(points[: len(reference)], points[len(reference) :], names, "means of the posteriors"),
        "The most unusual images": _draw_unusual(facts.model, window, scores.images),
    }
    if window.labels is not None and reference.labels is not None:
        figures["Class mix"] = _draw_mix(reference.labels, window.labels, facts.classes)
    return figures


def draw_effects(table: pd.DataFrame, alpha: float, title: str) -> Figure:
    """The effect of each test and its least effect: columns title, effect, least_effect, p_adjusted, violated."""
    figure = Figure(figsize=(9, 0.5 * len(table) + 1.6), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(table))[::-1]
    colors = [COLORS[bool(violated)] for violated in table["violated"]]
    axes.barh(places, table["effect"], color=colors, alpha=0.75, height=0.6)
    axes.plot(table["least_effect"], places, "|", color="black", markersize=18, markeredgewidth=2, label="least effect")
    reach = max(table["effect"].max(), table["least_effect"].max())
    effects = table[["effect", "least_effect"]].max(axis=1)
    for place, effect, p in zip(places, effects, table["p_adjusted"], strict=True):
        text = f"p = {p:.2g} {'<' if p < alpha else '≥'} {alpha:g}"
        axes.text(effect + 0.03 * reach, place, text, va="center", fontsize=8)
    axes.set_yticks(places, table["title"])
    axes.set(title=title, xlabel="effect size, 0 to 1 (red: violated)", xlim=(0, 1.3 * reach))
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    axes.grid(axis="x", alpha=0.3)
    return figure


def draw_scores(
    reference: Mapping[str, Float[np.ndarray, " reference"]],
    window: Mapping[str, Float[np.ndarray, " window"]],
    names: Mapping[str, str],
    unit: str,
    title: str,
) -> Figure:
    """Histograms of the scores of both, by name; the outermost bins also count all values beyond them."""
    figure = Figure(figsize=(4.4 * len(reference), 3.8), layout="constrained")
    for axes, (name, own) in zip(figure.subplots(1, len(reference), squeeze=False)[0], reference.items(), strict=True):
        new = window[name]
        ends = np.percentile(own, INNER), np.percentile(new, USUAL)
        edges = np.linspace(min(low for low, _ in ends), max(high for _, high in ends) + 1e-9, BINS)
        for values, color, label in ((own, REFERENCE, "reference"), (new, WINDOW, "window")):
            shares = 100 * np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / len(values)
            axes.stairs(shares, edges, fill=True, color=color, alpha=0.35)
            axes.stairs(shares, edges, color=color, label=f"{label}, median {np.median(values):.4g}")
        axes.set(title=names[name], xlabel=f"{unit} (the last bin: or more)", ylabel="% of the images")
        axes.legend(fontsize=8)
        axes.grid(axis="x", alpha=0.3)
    figure.suptitle(title)
    return figure


def draw_latents(
    reference: Float[np.ndarray, "reference 2"],
    window: Float[np.ndarray, "window 2"],
    names: tuple[str, str],
    title: str,
) -> Figure:
    """Latents in the plane; those of the window (n, 2) are drawn over those of the reference (m, 2)."""
    figure = Figure(figsize=(7, 6.4), layout="constrained")
    axes = figure.subplots()
    axes.scatter(*reference.T, s=6, color=REFERENCE, alpha=0.4, linewidths=0, label=f"reference, {len(reference):,}")
    axes.scatter(*window.T, s=6, color=WINDOW, alpha=0.6, linewidths=0, label=f"window, {len(window):,}")
    axes.set(title=title, xlabel=names[0], ylabel=names[1])
    axes.legend(markerscale=3, loc="upper right")
    axes.grid(alpha=0.3)
    return figure


def draw_mix(
    reference: Float[np.ndarray, " classes"], window: Float[np.ndarray, " classes"], names: Sequence[str], title: str
) -> Figure:
    """The share of each class in both, (classes,)."""
    figure = Figure(figsize=(max(7, 0.7 * len(names) + 2), 4), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(names))
    for offset, shares, color, label in ((-0.2, reference, REFERENCE, "reference"), (0.2, window, WINDOW, "window")):
        axes.bar(places + offset, 100 * shares, width=0.4, color=color, alpha=0.8, label=label)
    axes.set_xticks(places, names)
    axes.set(title=title, xlabel="class", ylabel="% of the images")
    axes.legend()
    axes.grid(axis="y", alpha=0.3)
    return figure


def _draw_unusual(model: GenerativeModel, window: Observed, images: ByteImages) -> Figure:
    loss = window.scores[window.loss]
    worst = np.argsort(-loss, kind="stable")[:UNUSUAL]
    shown = to_unit(images[worst])
    notes = [f"{loss[row]:.0f}" for row in worst]
    title = f"highest {title_of(window.loss)} of the window, {NATS}"
    return draw_hardest(shown, np.asarray(model.reconstruct(shown)), notes, title)


def _draw_mix(
    reference: Integer[np.ndarray, " reference"], window: Integer[np.ndarray, " window"], classes: Sequence[str]
) -> Figure:
    counts = class_counts(reference, window)
    present = np.unique(np.concatenate([reference, window]))
    names = [classes[label] if label < len(classes) else f"unknown {label - len(classes) + 1}" for label in present]
    shares = counts / counts.sum(axis=1, keepdims=True)
    return draw_mix(shares[0], shares[1], names, "classes by label")
