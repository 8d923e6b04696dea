"""Figures of numbers: latent space, learning curves, loss by class."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

SCORE_NAMES = {
    "neg_elbo": "−ELBO",
    "reconstruction": "reconstruction",
    "kl": "KL",
    "one_class": "one-class",
    "one_class_latent": "one-class, latent",
}
CURVES = {"neg_elbo": "−ELBO", "reconstruction": "reconstruction, −log p(x|z)", "kl": "KL(q(z|x) ‖ p(z))"}
NATS = "nats per image"


def draw_latent_space(
    points: np.ndarray, axis_names: tuple[str, str], labels: np.ndarray, classes: Sequence[str], title: str
) -> Figure:
    """Posterior means (count, 2) as points coloured by class."""
    figure = Figure(figsize=(9, 8), layout="constrained")
    axes = figure.subplots()
    colors = colormaps["tab10" if len(classes) <= 10 else "turbo"].resampled(max(len(classes), 2))
    size = float(np.clip(12_000 / len(points), 4, 30))
    for label, name in enumerate(classes):
        own = points[labels == label]
        axes.scatter(*own.T, s=size, alpha=0.6, color=colors(label), label=name, linewidths=0)
    axes.set(title=title, xlabel=axis_names[0], ylabel=axis_names[1], aspect="equal")
    axes.legend(title="label", markerscale=4, loc="upper right", ncols=1 + len(classes) // 15)
    return figure


def draw_learning_curves(history: pd.DataFrame, title: str) -> Figure:
    """What of `CURVES` was measured by epoch, for train and validation, and the learning rate."""
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    curves = {name: label for name, label in CURVES.items() if name in history}
    panels = figure.subplots(2, 2).flat if len(curves) > 1 else figure.subplots(1, 2).flat
    for axes, (name, label) in zip(panels, curves.items(), strict=False):
        axes.plot(history["epoch"], history[name], marker=".", label="train (while it learns)")
        axes.plot(history["epoch"], history[f"val_{name}"], marker=".", label="validation")
        axes.set(title=label, xlabel="epoch", ylabel=NATS)
        axes.legend()
        axes.grid(alpha=0.3)
    rate = figure.axes[-1]
    rate.plot(history["epoch"], history["learning_rate"], marker=".", color="tab:green")
    rate.set(title="learning rate at the end of the epoch", xlabel="epoch", ylabel="step size")
    rate.grid(alpha=0.3)
    figure.suptitle(title)
    return figure


def draw_class_losses(by_class: pd.DataFrame, title: str) -> Figure:
    """Reconstruction and KL of each class, stacked, with the standard error of their sum; or what of it there is."""
    figure = Figure(figsize=(max(6, 0.7 * len(by_class) + 2), 5), layout="constrained")
    axes = figure.subplots()
    names = by_class.index.astype(str)
    axes.bar(names, by_class["reconstruction"], label=CURVES["reconstruction"], color="tab:blue")
    whole = "neg_elbo" if "neg_elbo" in by_class else "reconstruction"
    if "kl" in by_class:
        axes.bar(names, by_class["kl"], bottom=by_class["reconstruction"], label=CURVES["kl"], color="tab:orange")
    label = f"{SCORE_NAMES[whole]} ± standard error"
    errors = by_class[f"{whole}_se"]
    axes.errorbar(names, by_class[whole], yerr=errors, fmt="none", color="black", capsize=4, label=label)
    axes.set(title=title, xlabel="class", ylabel=NATS)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3)
    axes.grid(axis="y", alpha=0.3)
    return figure


def draw_anomalies(table: pd.DataFrame, title: str) -> Figure:
    """AUROC by kind of strange images and score, with standard errors: columns kind, score, auroc, auroc_se."""
    kinds, scores = table["kind"].unique(), table["score"].unique()
    figure = Figure(figsize=(max(8, 1.3 * len(kinds) + 2), 5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(scores)
    for index, score in enumerate(scores):
        rows = table[table["score"] == score].set_index("kind").loc[kinds]
        places = np.arange(len(kinds)) + (index - (len(scores) - 1) / 2) * width
        axes.bar(places, rows["auroc"], width, yerr=rows["auroc_se"], capsize=2, label=SCORE_NAMES.get(score, score))
    axes.axhline(0.5, color="black", linewidth=0.8, linestyle="--", label="chance")
    axes.set_xticks(np.arange(len(kinds)), kinds)
    axes.set(title=title, xlabel="kind of strange images, against test images", ylabel="AUROC", ylim=(0, 1.05))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=len(scores) + 1)
    axes.grid(axis="y", alpha=0.3)
    return figure


def draw_codes(uses: np.ndarray, perplexity: float, title: str) -> Figure:
    """How often each code is used, counts (codes,), as shares, the most used first, and what an even use would be."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    shares = np.sort(uses)[::-1] / uses.sum()
    label = f"{(uses > 0).mean():.0%} of {len(uses)} codes used, perplexity {perplexity:.1f}"
    axes.bar(np.arange(1, len(uses) + 1), shares, width=0.9, label=label)
    axes.axhline(1 / len(uses), color="black", linewidth=0.8, linestyle="--", label="all codes used alike")
    axes.set(title=title, xlabel="code, the most used first", ylabel="share of all places of all images")
    axes.legend()
    axes.grid(axis="y", alpha=0.3)
    return figure


def draw_compression(curve: pd.DataFrame, png_bits: float, title: str) -> Figure:
    """MSE against bits of the latent code at several precisions: columns step, code_bits, code_mse; PNG beside it."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(curve["code_bits"], curve["code_mse"], marker="o", label="latent code, rounded to multiples of …")
    for row in curve.itertuples():
        axes.annotate(
            f"{row.step:g}", (row.code_bits, row.code_mse), xytext=(1, 5), textcoords="offset points", rotation=60
        )
    axes.axvline(png_bits, color="tab:red", linestyle="--", label=f"PNG, lossless: {png_bits:,.0f} bits")
    axes.set_xscale("log")
    axes.set(title=title, xlabel="bits per image", ylabel="mean squared error per pixel, greys 0 to 1")
    axes.set_ylim(0, 1.1 * curve["code_mse"].max())
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def draw_rate_distortion(points: pd.DataFrame, title: str) -> Figure:
    """Distortion against rate of models trained with different beta: columns beta, rate, distortion (nats per image).

    Models on one of the dashed lines have the same −ELBO (Alemi et al. 2018, arXiv:1711.00464).
    """
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    axes.plot(points["rate"], points["distortion"], marker="o", zorder=3)
    for row in points.itertuples():
        axes.annotate(f"β = {row.beta:g}", (row.rate, row.distortion), xytext=(8, 6), textcoords="offset points")
    best = (points["rate"] + points["distortion"]).min()
    rates = np.array([0, 1.15 * points["rate"].max()])
    for level in range(4):
        label = "equal −ELBO, 20 nats apart" if not level else None
        axes.plot(rates, best + 20 * level - rates, color="gray", linewidth=0.8, linestyle="--", label=label)
    low, high = points["distortion"].min(), points["distortion"].max()
    axes.set(xlim=rates, ylim=(low - 0.15 * (high - low), high + 0.15 * (high - low)))
    axes.set(title=title, xlabel=f"rate, {CURVES['kl']}, {NATS}", ylabel=f"distortion, {NATS}")
    axes.legend()
    axes.grid(alpha=0.3)
    return figure
