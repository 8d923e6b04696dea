"""The half year in one figure: the effects of each window, what followed, and which version was champion."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from half_year.year import Night
from matplotlib.figure import Figure

from vaeline.artifacts import atomic_file
from vaeline.monitoring.report import QUIET, TRIGGERED, VIOLATED
from vaeline.monitoring.two_sample_tests import TITLES

COLORS = {QUIET: "#2a7f3f", VIOLATED: "#d08700", TRIGGERED: "#b3261e"}
SHADES = {"rotated": ("#f6dfc8", "turned by 20°"), "class_mix": ("#dbe4f6", "other class mix")}


def draw_year(nights: Sequence[Night], file: Path) -> None:
    """Draw all weeks and write them as a PNG."""
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    loud, served = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.4))
    weeks = np.array([night.number for night in nights])
    for kind, (shade, name) in SHADES.items():
        spell = [night.number for night in nights if night.week.kind == kind]
        for axes in (loud, served):
            axes.axvspan(spell[0] - 0.5, spell[-1] + 0.5, color=shade, lw=0)
        loud.text(np.mean(spell), 1.01, name, transform=loud.get_xaxis_transform(), ha="center", fontsize=8)
    for name in nights[0].loudness:
        loud.plot(weeks, [night.loudness[name] for night in nights], lw=1, alpha=0.6, label=TITLES[name])
    for word, color in COLORS.items():
        chosen = [night for night in nights if night.word == word]
        points = [night.number for night in chosen], [night.loudest[1] for night in chosen]
        loud.scatter(*points, color=color, s=42, zorder=3, label=f"window: {word}")
    loud.axhline(1, color="black", lw=0.8, ls="--")
    loud.set(ylim=0, ylabel="effect / least effect that matters")
    loud.set_title("Half a year on MNIST: each week's window through the champion, and what followed", pad=18)
    loud.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
    served.step(weeks, [int(night.champion) for night in nights], where="mid", color="black", lw=1.5)
    versions = sorted({int(night.champion) for night in nights})
    served.set(yticks=versions, ylim=(versions[0] - 0.4, versions[-1] + 1.1), ylabel="champion", xlabel="week")
    served.set_xticks(weeks)
    for place, night in enumerate(night for night in nights if night.deed):
        height = versions[-1] + 0.85 - 0.4 * (place % 2)
        served.annotate(
            night.deed,
            (night.number, int(night.champion)),
            (night.number, height),
            ha="center",
            va="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "lw": 0.6, "color": "grey"},
        )
    with atomic_file(file) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
