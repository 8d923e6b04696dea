"""Rows and tiles of images on axes of their own.

Images are float arrays (…, height, width) in [0, 1].
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure


def tile(images: np.ndarray) -> np.ndarray:
    """A grid of images (side, side, height, width) as one picture, its first axis upwards."""
    side, _, height, width = images.shape
    return images[::-1].transpose(0, 2, 1, 3).reshape(side * height, side * width)


def draw_rows(grid: np.ndarray, names: Sequence[str], title: str) -> Figure:
    rows, columns = grid.shape[:2]
    figure = Figure(figsize=(0.75 * columns + 1.4, 0.8 * rows + 0.8), layout="constrained")
    for row, axes_of_row in enumerate(figure.subplots(rows, columns, squeeze=False)):
        for column, axes in enumerate(axes_of_row):
            axes.imshow(grid[row, column], cmap="gray_r", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        axes_of_row[0].set_ylabel(names[row], rotation="horizontal", ha="right", va="center", fontsize=8)
    figure.suptitle(title)
    return figure
