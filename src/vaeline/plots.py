"""The figures that `plot` draws: the learning curves, and those of each topic.

Figures are returned by file name without ending.
"""

from importlib import import_module
from importlib.util import find_spec

from matplotlib.figure import Figure

from vaeline.figures.drawing import Drawing
from vaeline.figures.learning_curves import learning_figures
from vaeline.topics import TOPICS


def draw_all(drawing: Drawing) -> dict[str, Figure]:
    """All figures of a run by name. A topic that does not apply to the model gives none."""
    found = learning_figures(drawing)
    for topic in TOPICS:
        module = f"vaeline.{topic}.figure"
        if find_spec(module):
            found |= import_module(module).FIGURES(drawing)
    return found
