"""Figures of two trainings beside each other."""

from collections.abc import Mapping

import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

from vaeline.figures.charts import CURVES, NATS

LOSS = "loss"


def draw_curves_beside(histories: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """Validation curves of several trainings, a colour each, by epoch; a panel for each of `CURVES` that all have."""
    shared = [name for name in CURVES if all(f"val_{name}" in history for history in histories.values())] or [LOSS]
    figure = Figure(figsize=(4.5 * len(shared), 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(shared), squeeze=False)[0], shared, strict=True):
        for (label, history), color in zip(histories.items(), colormaps["tab10"].colors, strict=False):
            axes.plot(history["epoch"], history[f"val_{name}"], marker=".", color=color, label=label)
        axes.set(title=CURVES.get(name, name), xlabel="epoch", ylabel=f"validation, {NATS}")
        axes.legend()
        axes.grid(alpha=0.3)
    figure.suptitle(title)
    return figure
