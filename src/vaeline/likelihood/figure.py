"""Figures of the test loss: by class, reconstructions, the images with the highest loss; rate against distortion.

Images are float arrays (count, height, width, channels) in [0, 1].
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from vaeline.evaluation.inference import decode
from vaeline.figures.drawing import Drawing
from vaeline.figures.images import draw_rows
from vaeline.images.types import DrawnImages
from vaeline.scores import NATS, SCORES, loss_of, title_of

NOTE_LENGTH = 16


def draw_class_losses(by_class: pd.DataFrame, title: str) -> Figure:
    """Reconstruction and KL of each class, stacked, with the standard error of their sum; or what of it there is."""
    figure = Figure(figsize=(max(6, 0.7 * len(by_class) + 2), 5), layout="constrained")
    axes = figure.subplots()
    names = by_class.index.astype(str)
    axes.bar(names, by_class["reconstruction"], label=SCORES["reconstruction"].formula, color="tab:blue")
    whole = loss_of(by_class)
    if "kl" in by_class:
        axes.bar(
            names, by_class["kl"], bottom=by_class["reconstruction"], label=SCORES["kl"].formula, color="tab:orange"
        )
    label = f"{title_of(whole)} ± standard error"
    errors = by_class[f"{whole}_se"]
    axes.errorbar(names, by_class[whole], yerr=errors, fmt="none", color="black", capsize=4, label=label)
    axes.set(title=title, xlabel="class", ylabel=NATS)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3)
    axes.grid(axis="y", alpha=0.3)
    return figure


def draw_reconstructions(
    originals: DrawnImages, reconstructions: DrawnImages, columns: int, title: str, ink: bool = True
) -> Figure:
    """Originals (count, height, width, channels) in the odd rows, and below each its reconstruction."""
    rows = len(originals) // columns
    pairs = np.stack([originals, reconstructions])[:, : rows * columns]
    grid = pairs.reshape(2, rows, columns, *originals.shape[1:]).swapaxes(0, 1)
    names = ["original", "reconstruction"] * rows
    return draw_rows(grid.reshape(2 * rows, columns, *originals.shape[1:]), names, title, ink)


def draw_hardest(
    originals: DrawnImages, reconstructions: DrawnImages, notes: Sequence[str], title: str, ink: bool = True
) -> Figure:
    """Originals (count, height, width, channels) over their reconstructions, each with a note."""
    figure = draw_rows(np.stack([originals, reconstructions]), ["original", "reconstruction"], title, ink)
    for axes, note in zip(figure.axes[: len(notes)], notes, strict=True):
        axes.set_title(note, fontsize=8)
    return figure


def notes_of(names: Sequence[str], losses: Iterable[float]) -> list[str]:
    """Class and loss of each image: on one line, or on two lines if one of them is too long for its image."""
    notes = [(name, f"{nats:.0f} nats") for name, nats in zip(names, losses, strict=True)]
    is_long = any(len(", ".join(note)) > NOTE_LENGTH for note in notes)
    return [("\n" if is_long else ", ").join(note) for note in notes]


def draw_rate_distortion(points: pd.DataFrame, title: str) -> Figure:
    """Distortion against rate of models trained with different beta: columns beta, rate, distortion (nats per image).

    Models on one of the dashed lines have the same −ELBO (Alemi et al. 2018, arXiv:1711.00464).
    """
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    axes.plot(points["rate"], points["distortion"], marker="o", zorder=3)
    for beta, rate, distortion in zip(points["beta"], points["rate"], points["distortion"], strict=True):
        axes.annotate(f"β = {beta:g}", (rate, distortion), xytext=(8, 6), textcoords="offset points")
    best = (points["rate"] + points["distortion"]).min()
    rates = np.array([0, 1.15 * points["rate"].max()])
    for level in range(4):
        label = "equal −ELBO, 20 nats apart" if not level else None
        axes.plot(rates, best + 20 * level - rates, color="gray", linewidth=0.8, linestyle="--", label=label)
    low, high = points["distortion"].min(), points["distortion"].max()
    axes.set(xlim=rates, ylim=(low - 0.15 * (high - low), high + 0.15 * (high - low)))
    axes.set(title=title, xlabel=f"rate, {SCORES['kl'].formula}, {NATS}", ylabel=f"distortion, {NATS}")
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def likelihood_figures(drawing: Drawing) -> dict[str, Figure]:
    """The figures of the test loss, by name."""
    by_class = drawing.table("per_class.csv").set_index("class")
    return {
        "reconstructions": draw_reconstructions(
            drawing.images[drawing.chosen],
            decode(drawing.model, drawing.z_mean[drawing.chosen]),
            drawing.settings.columns,
            drawing.title("test images and their reconstructions"),
            drawing.ink,
        ),
        "hardest": _hardest(drawing),
        "class_losses": draw_class_losses(by_class, drawing.title("test loss by class")),
    }


def _hardest(drawing: Drawing) -> Figure:
    loss = loss_of(drawing.scores)
    hardest = drawing.scores.nlargest(drawing.settings.columns, loss)
    rows = hardest["image"].to_numpy()
    notes = notes_of([drawing.classes[label] for label in hardest["label"]], hardest[loss])
    title = drawing.title(f"test images with the highest {title_of(loss)}, label and {title_of(loss)}")
    return draw_hardest(drawing.images[rows], decode(drawing.model, drawing.z_mean[rows]), notes, title, drawing.ink)


FIGURES = likelihood_figures
