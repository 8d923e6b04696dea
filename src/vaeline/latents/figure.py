"""Figures of latent space: points by class, decoded grids and decoded lines.

Images are float arrays (…, height, width) in [0, 1].
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from vaeline.figures.images import draw_rows, tile

MANIFOLDS_A_ROW = 5


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


def draw_manifold(images: np.ndarray, ticks: np.ndarray, title: str, labels: tuple[str, str]) -> Figure:
    """Decoded latents (side, side, height, width) as one picture; `ticks` (side,) are the latent values of both axes.

    The first axis of `images` runs along the vertical axis, upwards.
    """
    side, _, height, width = images.shape
    figure = Figure(figsize=(9, 9.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(tile(images), cmap="gray_r", vmin=0, vmax=1)
    shown = np.linspace(0, side - 1, 7).round().astype(int)
    names = [f"{ticks[index]:.2f}" for index in shown]
    axes.set_xticks((shown + 0.5) * width, names)
    axes.set_yticks((side - shown - 0.5) * height, names)
    axes.set(title=title, xlabel=labels[0], ylabel=labels[1])
    return figure


def draw_class_manifolds(grids: Mapping[str, np.ndarray], title: str) -> Figure:
    """Decoded latents (side, side, height, width) of each class as one picture each, under the class's name.

    The first axis of the images runs upwards.
    """
    columns = min(len(grids), MANIFOLDS_A_ROW)
    rows = -(-len(grids) // columns)
    figure = Figure(figsize=(2.6 * columns, 2.8 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, (name, images) in zip(panels, grids.items(), strict=False):
        axes.imshow(tile(images), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(name)
    figure.suptitle(title)
    return figure


def draw_interpolations(paths: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """Decoded straight lines between latents (paths, steps, height, width), one a row."""
    return draw_rows(paths, names, title)
