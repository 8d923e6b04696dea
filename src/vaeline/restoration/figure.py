"""Figure of damaged and of restored images."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from vaeline.figures.drawing import Drawing
from vaeline.figures.images import draw_rows
from vaeline.images.types import DrawnImages
from vaeline.restoration.restore import show_restoration


def draw_restorations(versions: Mapping[str, DrawnImages], title: str, ink: bool = True) -> Figure:
    """The same images in several states, each (count, height, width, channels): one row a state, by its name."""
    return draw_rows(np.stack(list(versions.values())), list(versions), title, ink)


def restoration_figures(drawing: Drawing) -> dict[str, Figure]:
    """The figure of restored images, by name; none for a model that restores nothing."""
    if drawing.table("restoration.csv").empty:
        return {}
    images = drawing.images[drawing.chosen[: drawing.settings.columns]]
    versions = show_restoration(drawing.model, images, drawing.sigma, drawing.box, drawing.settings.seed)
    title = drawing.title("damaged images and what the model makes of them")
    return {"restorations": draw_restorations(versions, title, drawing.ink)}


FIGURES = restoration_figures
