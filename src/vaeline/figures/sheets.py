"""Sheets of images: rows of any length. All images share one pair of axes, so that hundreds are drawn quickly.

Images are float arrays (height, width, channels) in [0, 1]; NaN marks a missing pixel.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vaeline.figures.images import grey_map
from vaeline.images.arrays import drawable
from vaeline.images.types import DrawnImage, DrawnImages

MISSING = "#9ecae1"
GAP = 1 / 9
NOTE = 0.34
CELL_INCHES = 0.75
NOTED_CELL_INCHES = 1.0


def draw_sheet(
    rows: Sequence[Float[np.ndarray, "_ height width channels"]],
    title: str,
    row_names: Sequence[str] = (),
    column_names: Sequence[str] = (),
    notes: Sequence[Sequence[str]] = (),
    ink: bool = True,
) -> Figure:
    """Rows of images, each (columns, height, width, channels), under a title.

    notes: a text of two lines below each image. ink: whether grey images are drawn as ink on paper.
    """
    columns = max(len(row) for row in rows)
    height, width = rows[0].shape[1:3]
    pitch_x, pitch_y = width * (1 + GAP), height * (1 + GAP + (NOTE if notes else 0))
    cell = NOTED_CELL_INCHES if notes else CELL_INCHES
    margin = 0.1 + 0.075 * max((len(name) for name in row_names), default=0)
    size = (
        max(cell * columns + margin, 0.098 * len(title) + 0.3),
        cell * (len(rows) * pitch_y / pitch_x - (0 if notes else GAP)) + 0.4 + (0.15 if column_names else 0),
    )
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    greys = colormaps[grey_map(ink)].with_extremes(bad=MISSING)
    frames = []
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            left, top = column * pitch_x, row * pitch_y
            shown = _mark_missing(image) if image.shape[-1] > 1 else drawable(image)
            axes.imshow(shown, cmap=greys, vmin=0, vmax=1, extent=(left, left + width, top + height, top))
            frames.append(Rectangle((left, top), width, height))
            if notes:
                axes.text(left + width / 2, top + height * 1.04, notes[row][column], fontsize=7, ha="center", va="top")
    axes.add_collection(PatchCollection(frames, facecolor="none", edgecolor="black", linewidth=0.8))
    right, bottom = columns * pitch_x - width * GAP, len(rows) * pitch_y - height * GAP
    axes.set(xlim=(-0.5, right + 0.5), ylim=(bottom + 0.5, -0.5), aspect="equal")
    _name(axes.yaxis, [row * pitch_y + height / 2 for row in range(len(rows))], row_names)
    _name(axes.xaxis, [column * pitch_x + width / 2 for column in range(columns)], column_names)
    axes.tick_params(length=0, labelsize=8, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    figure.suptitle(title)
    return figure


def draw_grid(images: DrawnImages, columns: int, title: str, ink: bool = True) -> Figure:
    """Images (count, height, width, channels), `columns` in each row; the last row may be shorter."""
    return draw_sheet([images[start : start + columns] for start in range(0, len(images), columns)], title, ink=ink)


def draw_pairs(versions: dict[str, DrawnImages], columns: int, title: str, ink: bool = True) -> Figure:
    """Several versions of the same images by name, each (count, height, width, channels), one below the other.

    `columns` images are side by side.
    """
    count = len(next(iter(versions.values())))
    starts = range(0, count, columns)
    rows = [images[start : start + columns] for start in starts for images in versions.values()]
    return draw_sheet(rows, title, row_names=[*versions] * len(starts), ink=ink)


def _mark_missing(image: DrawnImage) -> DrawnImage:
    """A colour image with its missing pixels in the colour `MISSING`."""
    return np.where(np.isnan(image), to_rgb(MISSING), image)


def _name(axis, positions: Sequence[float], names: Sequence[str]) -> None:
    axis.set_ticks(positions if names else [], names if names else [])
