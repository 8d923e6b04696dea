"""The figure of a sweep, and its table."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from vaeline.sweeps.plan import Choice, Range, SweepPlan, Value
from vaeline.sweeps.trials import FAILED, Trial

GOOD = 0.75  # the colours end at this quantile of the values, so that bad trials do not hide the order of good ones
TICKS = 5


def sweep_table(trials: Sequence[Trial], metric: str) -> pd.DataFrame:
    """One row for each trial, the best first: its values, the metric, its epochs, how it ended and why it failed."""
    rows = [
        {
            **trial.values,
            metric: trial.value(metric) if trial.history else np.nan,
            "epochs": len(trial.history),
            "state": trial.state,
        }
        | {"reason": trial.reason, "trial": trial.key}
        for trial in trials
    ]
    return pd.DataFrame(rows).sort_values([metric, "trial"], na_position="last", ignore_index=True)


def draw_sweep(trials: Sequence[Trial], plan: SweepPlan, title: str) -> Figure:
    """Parallel coordinates of the values, one line for each trial; the metric of each trial by epoch; the best so far.

    The metric gives a line its colour. Trials that failed are left out.
    """
    shown = [trial for trial in trials if trial.state != FAILED and trial.history]
    values = np.array([trial.value(plan.metric) for trial in shown], "float64")
    colors = colormaps["viridis"](Normalize(values.min(), np.quantile(values, GOOD))(values))
    figure = Figure(figsize=(2.0 * len(plan.space) + 10, 5), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(len(plan.space) + 1, 2, 2))
    _draw_coordinates(left, shown, plan, values, colors)
    for trial, color in zip(shown, colors, strict=True):
        curve = [row[plan.metric] for row in trial.history]
        middle.plot([row["epoch"] for row in trial.history], curve, color=color, marker=".")
    numbers = [trial.number for trial in shown]
    right.scatter(numbers, values, color=colors, label="a trial")
    right.step(numbers, np.minimum.accumulate(values), where="post", color="black", label="best so far")
    right.legend()
    middle.set(title="each trial", xlabel="epoch", ylabel=plan.metric)
    right.set(title="the sweep", xlabel="trial", ylabel=plan.metric)
    for axes in (middle, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    figure.suptitle(title)
    return figure


def _draw_coordinates(
    axes: Axes, trials: Sequence[Trial], plan: SweepPlan, values: np.ndarray, colors: np.ndarray
) -> None:
    names = [*plan.space, plan.metric]
    spread = max(float(np.ptp(values)), 1e-9)
    for trial, value, color in zip(trials, values, colors, strict=True):
        heights = [_place(trial.values[key], scale) for key, scale in plan.space.items()]
        axes.plot(range(len(names)), [*heights, (value - values.min()) / spread], color=color, alpha=0.8)
    for column, scale in enumerate(plan.space.values()):
        for height, text in _ticks(scale):
            axes.text(column - 0.04, height, text, ha="right", va="center", fontsize=7)
    for height in np.linspace(0, 1, TICKS):
        axes.text(len(names) - 0.94, height, f"{values.min() + height * spread:.5g}", va="center", fontsize=7)
    for column in range(len(names)):
        axes.axvline(column, color="black", linewidth=0.8)
    axes.set_xticks(range(len(names)), [name.replace(".", ".\n", 1) for name in names])
    axes.set(title="values of each trial; dark is better", yticks=[], xlim=(-0.4, len(names) - 0.5))
    axes.spines[:].set_visible(False)


def _place(value: Value, scale: Choice | Range) -> float:
    """The height of a value on its axis, 0 to 1."""
    if isinstance(scale, Choice):
        return scale.choice.index(value) / (len(scale.choice) - 1)
    ends = np.array([scale.low, scale.high, value], "float64")
    low, high, at = np.log(ends) if scale.log else ends
    return float((at - low) / (high - low))


def _ticks(scale: Choice | Range) -> list[tuple[float, str]]:
    if isinstance(scale, Choice):
        return [(_place(value, scale), str(value)) for value in scale.choice]
    values = (np.geomspace if scale.log else np.linspace)(scale.low, scale.high, TICKS)
    if scale.is_integer:
        values = np.unique(values.round())
    return [(_place(float(value), scale), f"{value:.3g}") for value in values]
