"""Figures of a decision: the gains of a candidate over the champion, and images of both models."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vaeline.evaluation.inference import decode, sample
from vaeline.figures.images import show_image
from vaeline.gate.decision import Decision
from vaeline.gate.policy import least_gain
from vaeline.gate.scores import ModelScores
from vaeline.images.arrays import tile
from vaeline.images.types import DrawnGrid
from vaeline.latents.traversal import prior_grid
from vaeline.scores import SCORES

BINS = 81
INNER = (0.5, 99.5)
COLORS = {"pass": "tab:green", "inconclusive": "tab:orange", "fail": "tab:red"}
COLUMNS = 10


def draw_figures(decision: Decision) -> dict[str, Figure]:
    """The pictures of the page, by file name without its ending."""
    gate, known = decision.contest.gate, SCORES[decision.contest.gate.metric]
    candidate, champion = decision.scores.candidates[0], decision.scores.champion
    shown = [champion, candidate] if champion else [candidate]
    figures = {}
    if champion and decision.scores.improvement:
        names = f"{candidate.evaluation.name} against {champion.evaluation.name}"
        gain = decision.scores.improvement
        verdict = next(check.verdict for check in decision.checks if check.name == "improvement")
        least = least_gain(gate)
        title = f"{known.title}: gain of {names}"
        figures["gate_gains"] = draw_gains(gain.gains, gain.gain, least, gate.margin, verdict, known.unit, title)
        figures["gate_classes"] = draw_label_gains(gain.classes, gate.slice_margin, known.unit, f"{title}, by class")
    seed, size = decision.contest.params.plot.seed, decision.contest.params.plot.manifold_size
    drawn = {_titled(model): _samples(model, seed) for model in shown}
    ink = candidate.subject.model.image.is_ink
    figures["gate_samples"] = draw_beside(drawn, "samples from the prior, equal seeds", ink)
    if all(_has_plane(model) for model in shown):
        planes = {_titled(model): _plane(model, size) for model in shown}
        what = "latent space through the quantiles of the prior: two latents, others at 0"
        figures["gate_manifolds"] = draw_beside(planes, what, ink)
    return figures


def draw_gains(
    gains: Float[np.ndarray, " images"],
    bound: tuple[float, float, float],
    least: float,
    margin: float,
    verdict: str,
    unit: str,
    title: str,
) -> Figure:
    """The distribution of the gains (images,), and their mean with its bounds between fail and pass.

    bound: mean, low and high. A low bound above `least` passes; a high bound below −`margin` fails.
    """
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    scatter, decision = figure.subplots(1, 2)
    _draw_scatter(scatter, gains, bound[0], unit)
    _draw_decision(decision, bound, least, margin, verdict, unit)
    figure.suptitle(title)
    return figure


def draw_label_gains(table: pd.DataFrame, margin: float, unit: str, title: str) -> Figure:
    """The gain of each class with its bounds: columns class, gain, low, high, and verdict (the colour)."""
    figure = Figure(figsize=(max(7, 0.75 * len(table) + 2), 4.8), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(table))
    for verdict, color in COLORS.items():
        chosen = (table["verdict"] == verdict).to_numpy()
        if chosen.any():
            axes.bar(places[chosen], table["gain"][chosen], color=color, alpha=0.75, label=verdict)
    errors = np.abs(table[["low", "high"]].to_numpy("float64").T - table["gain"].to_numpy("float64"))
    axes.errorbar(places, table["gain"], yerr=errors, fmt="none", color="black", capsize=4)
    axes.axhline(0, color="black", linewidth=1)
    axes.axhline(-margin, color="tab:red", linestyle="--", label=f"−slice_margin, −{margin:g}")
    axes.set_xticks(places, table["class"])
    axes.set(title=title, xlabel="class", ylabel=f"mean gain, {unit} (above 0: better)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4)
    axes.grid(axis="y", alpha=0.3)
    return figure


def draw_beside(pictures: Mapping[str, DrawnGrid], title: str, ink: bool = True) -> Figure:
    """Grids of images (rows, columns, height, width, channels) in [0, 1], side by side, each under its name.

    The first row is the lowest.
    """
    rows, columns = next(iter(pictures.values())).shape[:2]
    side = 6.2
    figure = Figure(figsize=(side * len(pictures), side * rows / columns + 0.9), layout="constrained")
    for axes, (name, images) in zip(figure.subplots(1, len(pictures), squeeze=False)[0], pictures.items(), strict=True):
        show_image(axes, tile(images[::-1]), ink)
        axes.set(xticks=[], yticks=[], title=name)
    figure.suptitle(title)
    return figure


def _draw_scatter(axes: Axes, gains: Float[np.ndarray, " images"], mean: float, unit: str) -> None:
    """A histogram over the inner 99 % of the gains."""
    low, high = np.percentile(gains, INNER)
    reach = max(high - low, 1e-9)
    edges = np.linspace(min(low, 0) - 0.02 * reach, max(high, 0) + 0.02 * reach, BINS)
    shares = np.histogram(gains, edges)[0] / len(gains)
    axes.stairs(shares, edges, fill=True, color="tab:blue", alpha=0.4)
    axes.stairs(shares, edges, color="tab:blue")
    axes.axvline(0, color="black", linewidth=1)
    axes.axvline(mean, color="tab:blue", linestyle="--", label=f"mean {mean:+.3g}")
    better = f"{(gains > 0).mean():.1%} of {len(gains):,} images are better"
    axes.set(title=f"each image: {better}", xlabel=f"gain of an image, {unit}", ylabel="share of the images")
    axes.legend()
    axes.grid(axis="x", alpha=0.3)


def _draw_decision(
    axes: Axes, bound: tuple[float, float, float], least: float, margin: float, verdict: str, unit: str
) -> None:
    """The mean with its bounds, over the ranges in which it passes or fails."""
    mean, low, high = bound
    reach = max(high, least, 0) - min(low, -margin, 0)
    start, end = min(low, -margin) - 0.2 * reach, max(high, least) + 0.2 * reach
    for word, edge, far, side in (("fail", -margin, start, "below"), ("pass", least, end, "above")):
        label = f"{word}: both bounds {side} {edge:+g}"
        axes.axvspan(edge, far, color=COLORS[word], alpha=0.12, linewidth=0, label=label)
        axes.axvline(edge, color=COLORS[word], linestyle="--")
    axes.axvline(0, color="black", linewidth=1)
    sides = [[mean - low], [high - mean]]
    axes.errorbar(mean, 0, xerr=sides, fmt="D", markersize=7, capsize=7, linewidth=2, color=COLORS[verdict])
    axes.set(title=f"the mean {mean:+.3g}, its bounds {low:+.3g} and {high:+.3g}: {verdict}")
    axes.set(xlabel=f"mean gain, {unit}", yticks=[], xlim=(start, end), ylim=(-1, 1))
    axes.legend(loc="lower center", ncols=2)
    axes.grid(axis="x", alpha=0.3)


def _titled(model: ModelScores) -> str:
    return f"{model.evaluation.name} ({model.subject.model.title})"


def _samples(model: ModelScores, seed: int) -> DrawnGrid:
    """Samples (rows, columns, height, width, channels); a conditional model has one row for each class."""
    network = model.subject.model
    if not network.is_conditional:
        images = sample(network, COLUMNS**2, seed)
        return images.reshape(COLUMNS, COLUMNS, *images.shape[1:])
    return np.stack([sample(network, COLUMNS, seed, label) for label in reversed(range(network.classes))])


def _plane(model: ModelScores, side: int) -> DrawnGrid:
    """A decoded grid of latents (side, side, height, width, channels); of more than two, the two that vary most."""
    grid, _, _ = prior_grid(side, model.subject.latents)
    return decode(model.subject.model, grid)


def _has_plane(model: ModelScores) -> bool:
    return not (model.subject.model.is_conditional or model.subject.model.has_codes)
