"""Figure of samples from the prior.

Images are float arrays (count, height, width, channels) in [0, 1].
"""

import numpy as np
from matplotlib.figure import Figure

from vaeline.evaluation.inference import sample
from vaeline.figures.drawing import Drawing
from vaeline.figures.images import draw_rows
from vaeline.images.types import DrawnImages


def sample_figures(drawing: Drawing) -> dict[str, Figure]:
    """The figure of samples, by name; those of each class in a row of their own, where the model knows classes."""
    model, classes, columns, seed = drawing.model, drawing.classes, drawing.settings.columns, drawing.settings.seed
    if model.is_conditional:
        rows = np.stack([sample(model, columns, seed, label) for label in range(len(classes))])
        return {"samples": draw_rows(rows, classes, drawing.title("samples of each class"), drawing.ink)}
    images = sample(model, 10 * columns, seed)
    return {"samples": draw_samples(images, columns, drawing.title("samples from the prior"), drawing.ink)}


def draw_samples(images: DrawnImages, columns: int, title: str, ink: bool = True) -> Figure:
    """Images (count, height, width, channels), `columns` a row."""
    rows = len(images) // columns
    return draw_rows(images[: rows * columns].reshape(rows, columns, *images.shape[1:]), [""] * rows, title, ink)


FIGURES = sample_figures
