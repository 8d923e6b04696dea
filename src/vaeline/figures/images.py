"""Images on Matplotlib axes.

Images are float arrays (…, height, width, channels) in [0, 1]. Grey images that are `ink` are drawn as black ink on
white paper, others as they are.
"""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vaeline.images.arrays import drawable
from vaeline.images.types import DrawnGrid, DrawnImage


def grey_map(ink: bool) -> str:
    """Matplotlib's name of the colours of grey images."""
    return "gray_r" if ink else "gray"


def show_image(axes: Axes, image: DrawnImage, ink: bool = True, **where: Any) -> None:
    """Draw an image (height, width, channels) on axes; `where` are further arguments of Matplotlib's `imshow`."""
    axes.imshow(drawable(image), cmap=grey_map(ink), vmin=0, vmax=1, **where)


def draw_rows(grid: DrawnGrid, names: Sequence[str], title: str, ink: bool = True) -> Figure:
    """A grid of images (rows, columns, height, width, channels); `names` (rows,) stand at the left of the rows."""
    rows, columns = grid.shape[:2]
    figure = Figure(figsize=(0.75 * columns + 1.4, 0.8 * rows + 0.8), layout="constrained")
    for row, axes_of_row in enumerate(figure.subplots(rows, columns, squeeze=False)):
        for column, axes in enumerate(axes_of_row):
            show_image(axes, grid[row, column], ink)
            axes.set(xticks=[], yticks=[])
        axes_of_row[0].set_ylabel(names[row], rotation="horizontal", ha="right", va="center", fontsize=8)
    figure.suptitle(title)
    return figure
