"""Figure of damaged and of restored images."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from vaeline.figures.images import draw_rows


def draw_restorations(versions: Mapping[str, np.ndarray], title: str) -> Figure:
    """The same images in several states, each (count, height, width): one row a state, by its name."""
    return draw_rows(np.stack(list(versions.values())), list(versions), title)
