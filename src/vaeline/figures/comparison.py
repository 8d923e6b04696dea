"""Figure of paired differences between models."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib import color_sequences
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vaeline.evaluation.comparison import NOT_SHOWN

BINS = 81
INNER = (0.5, 99.5)


def draw_comparison(
    differences: Mapping[str, Float[np.ndarray, " _"]],
    overall: pd.DataFrame,
    by_class: pd.DataFrame,
    unit: str,
    title: str,
) -> Figure:
    """Paired differences to a baseline: their distribution over images, and their means by class; one colour a run.

    differences: (images,) by run. overall: `difference`, `low` and `high` of each run, indexed by run. by_class: the
    same columns with `run`, `class` and `verdict`; the points of classes without a shown difference are hollow.
    """
    classes = list(dict.fromkeys(by_class["class"]))
    figure = Figure(
        figsize=(12, max(5.0, 0.32 * len(classes) * max(1, len(differences) / 2) + 2)), layout="constrained"
    )
    scatter, means = figure.subplots(1, 2)
    colors = dict(zip(differences, color_sequences["tab10"] * len(differences), strict=False))
    _draw_scatter(scatter, differences, overall, colors)
    _draw_classes(means, by_class, classes, colors)
    scatter.set(title="each image", xlabel=f"difference of an image, {unit}", ylabel="share of the images")
    means.set(
        title="mean by class, 95 % interval (hollow: no difference shown)",
        xlabel=f"mean difference, {unit}",
        ylabel="class",
    )
    for axes in (scatter, means):
        axes.axvline(0, color="black", linewidth=1)
        axes.grid(axis="x", alpha=0.3)
    figure.legend(*scatter.get_legend_handles_labels(), loc="outside lower center", ncols=1 + (len(differences) > 3))
    figure.suptitle(title)
    return figure


def _draw_scatter(
    axes: Axes, differences: Mapping[str, Float[np.ndarray, " _"]], overall: pd.DataFrame, colors: dict
) -> None:
    """One histogram for each run over the inner 99 % of all differences; the mean with its interval is above it."""
    low, high = np.percentile(np.concatenate(list(differences.values())), INNER)
    reach = max(high - low, 1e-9)
    edges = np.linspace(min(low, 0) - 0.02 * reach, max(high, 0) + 0.02 * reach, BINS)
    tallest = 0.0
    for run, values in differences.items():
        shares = np.histogram(values, edges)[0] / len(values)
        tallest = max(tallest, shares.max())
        axes.stairs(shares, edges, color=colors[run], fill=True, alpha=0.2)
        axes.stairs(shares, edges, color=colors[run])
    for row, (run, color) in enumerate(colors.items()):
        mean, start, end = overall.loc[run, ["difference", "low", "high"]]
        axes.errorbar(
            mean,
            tallest * (1.08 + 0.06 * row),
            xerr=[[mean - start], [end - mean]],
            fmt="D",
            markersize=4,
            color=color,
            capsize=4,
            label=f"{run}: mean {mean:+.4g}, 95 % interval {start:+.4g} to {end:+.4g}",
        )
    axes.set_ylim(0, tallest * (1.14 + 0.06 * len(colors)))


def _draw_classes(axes: Axes, by_class: pd.DataFrame, classes: list[str], colors: dict) -> None:
    """The mean differences of each class, the first class at the top, one point for each run."""
    for row, (run, color) in enumerate(colors.items()):
        own = by_class[by_class["run"] == run].set_index("class").reindex(classes)
        offset = 0.6 * ((row + 0.5) / len(colors) - 0.5)
        places = np.arange(len(classes)) + offset
        errors = [own["difference"] - own["low"], own["high"] - own["difference"]]
        axes.errorbar(own["difference"], places, xerr=errors, fmt="none", color=color, capsize=3)
        fills = ["white" if word == NOT_SHOWN else color for word in own["verdict"]]
        axes.scatter(own["difference"], places, s=30, color=fills, edgecolors=[color], zorder=3)
    axes.set_yticks(range(len(classes)), classes)
    axes.invert_yaxis()
