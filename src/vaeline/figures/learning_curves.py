"""Learning curves of one training, and of several trainings together."""

from collections.abc import Mapping

import pandas as pd
from matplotlib import color_sequences
from matplotlib.figure import Figure

from vaeline.figures.drawing import Drawing
from vaeline.scores import ELBO_PARTS, NATS, SCORES

CURVES = {name: SCORES[name].formula for name in ELBO_PARTS}
LOSS = "loss"


def draw_learning_curves(history: pd.DataFrame, title: str) -> Figure:
    """The measured `CURVES` by epoch, for train and validation, and the learning rate."""
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


def draw_curves_beside(histories: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """Validation curves of several trainings by epoch, one colour each; one panel for each score that all have."""
    shared = [name for name in CURVES if all(f"val_{name}" in history for history in histories.values())] or [LOSS]
    figure = Figure(figsize=(4.5 * len(shared), 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(shared), squeeze=False)[0], shared, strict=True):
        for (label, history), color in zip(histories.items(), color_sequences["tab10"], strict=False):
            axes.plot(history["epoch"], history[f"val_{name}"], marker=".", color=color, label=label)
        axes.set(title=CURVES.get(name, name), xlabel="epoch", ylabel=f"validation, {NATS}")
        axes.legend()
        axes.grid(alpha=0.3)
    figure.suptitle(title)
    return figure


def learning_figures(drawing: Drawing) -> dict[str, Figure]:
    """The figure of the training, by name."""
    return {"learning_curves": draw_learning_curves(drawing.table("history.csv"), drawing.title("training"))}
