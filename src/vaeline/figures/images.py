"""Figures of images: manifold, reconstructions, interpolations, samples, the hardest ones.

Images are float arrays (…, height, width) in [0, 1].
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

MANIFOLDS_A_ROW = 5


def draw_manifold(images: np.ndarray, ticks: np.ndarray, title: str, labels: tuple[str, str]) -> Figure:
    """Decoded latents (side, side, height, width) as one picture; `ticks` (side,) are the latent values of both axes.

    The first axis of `images` runs along the vertical axis, upwards.
    """
    side, _, height, width = images.shape
    figure = Figure(figsize=(9, 9.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(_tile(images), cmap="gray_r", vmin=0, vmax=1)
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
        axes.imshow(_tile(images), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(name)
    figure.suptitle(title)
    return figure


def draw_reconstructions(originals: np.ndarray, reconstructions: np.ndarray, columns: int, title: str) -> Figure:
    """Originals (count, height, width) in the odd rows, and below each its reconstruction."""
    rows = len(originals) // columns
    pairs = np.stack([originals, reconstructions])[:, : rows * columns]
    grid = pairs.reshape(2, rows, columns, *originals.shape[1:]).transpose(1, 0, 2, 3, 4)
    names = ["original", "reconstruction"] * rows
    return _draw_rows(grid.reshape(2 * rows, columns, *originals.shape[1:]), names, title)


def draw_interpolations(paths: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """Decoded straight lines between latents (paths, steps, height, width), one a row."""
    return _draw_rows(paths, names, title)


def draw_samples(images: np.ndarray, columns: int, title: str) -> Figure:
    """Images (count, height, width), `columns` a row."""
    rows = len(images) // columns
    return _draw_rows(images[: rows * columns].reshape(rows, columns, *images.shape[1:]), [""] * rows, title)


def draw_restorations(versions: Mapping[str, np.ndarray], title: str) -> Figure:
    """The same images in several states, each (count, height, width): one row a state, by its name."""
    return _draw_rows(np.stack(list(versions.values())), list(versions), title)


def draw_hardest(originals: np.ndarray, reconstructions: np.ndarray, notes: Sequence[str], title: str) -> Figure:
    """Originals (count, height, width) over their reconstructions, each with a note."""
    figure = _draw_rows(np.stack([originals, reconstructions]), ["original", "reconstruction"], title)
    for axes, note in zip(figure.axes[: len(notes)], notes, strict=True):
        axes.set_title(note, fontsize=8)
    return figure


def _tile(images: np.ndarray) -> np.ndarray:
    """A grid of images (side, side, height, width) as one picture, its first axis upwards."""
    side, _, height, width = images.shape
    return images[::-1].transpose(0, 2, 1, 3).reshape(side * height, side * width)


def _draw_rows(grid: np.ndarray, names: Sequence[str], title: str) -> Figure:
    rows, columns = grid.shape[:2]
    figure = Figure(figsize=(0.75 * columns + 1.4, 0.8 * rows + 0.8), layout="constrained")
    for row, axes_of_row in enumerate(figure.subplots(rows, columns, squeeze=False)):
        for column, axes in enumerate(axes_of_row):
            axes.imshow(grid[row, column], cmap="gray_r", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        axes_of_row[0].set_ylabel(names[row], rotation="horizontal", ha="right", va="center", fontsize=8)
    figure.suptitle(title)
    return figure
