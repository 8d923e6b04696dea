"""Figure of how well each score tells OOD images from test images."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from vaeline.figures.drawing import Drawing
from vaeline.scores import title_of

OOD_IMAGES = "kind of OOD images, against test images"


def draw_anomalies(table: pd.DataFrame, title: str, kinds_are: str = OOD_IMAGES) -> Figure:
    """AUROC with standard errors by kind of images and score: columns kind, score, auroc, auroc_se.

    kinds_are: what the kinds are, below the axis.
    """
    kinds, scores = table["kind"].unique(), table["score"].unique()
    figure = Figure(figsize=(max(8, 1.3 * len(kinds) + 2), 5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(scores)
    for index, score in enumerate(scores):
        rows = table[table["score"] == score].set_index("kind").loc[kinds]
        places = np.arange(len(kinds)) + (index - (len(scores) - 1) / 2) * width
        axes.bar(places, rows["auroc"], width, yerr=rows["auroc_se"], capsize=2, label=title_of(score))
    axes.axhline(0.5, color="black", linewidth=0.8, linestyle="--", label="chance")
    axes.set_xticks(np.arange(len(kinds)), kinds)
    axes.set(title=title, xlabel=kinds_are, ylabel="AUROC", ylim=(0, 1.05))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=len(scores) + 1)
    axes.grid(axis="y", alpha=0.3)
    return figure


def anomaly_figures(drawing: Drawing) -> dict[str, Figure]:
    """The figure of OOD detection, by name."""
    return {"anomalies": draw_anomalies(drawing.table("anomaly.csv"), drawing.title("detection of OOD images"))}


FIGURES = anomaly_figures
