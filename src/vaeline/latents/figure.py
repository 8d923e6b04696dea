"""Figures of latent space: points by class, decoded grids and decoded lines.

Images are float arrays (…, height, width, channels) in [0, 1].
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.figure import Figure

from vaeline.evaluation.inference import decode
from vaeline.figures.drawing import Drawing
from vaeline.figures.images import draw_rows, show_image
from vaeline.images.arrays import tile
from vaeline.images.types import DrawnGrid, Labels
from vaeline.latents.interpolation import latent_line
from vaeline.latents.traversal import class_grid, plane_view, prior_grid

MANIFOLDS_A_ROW = 5
LEAST_IMAGES = 3


def draw_latent_space(
    points: Float[np.ndarray, "count 2"],
    axis_names: tuple[str, str],
    labels: Labels,
    classes: Sequence[str],
    title: str,
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


def draw_manifold(
    images: DrawnGrid, ticks: Float[np.ndarray, " rows"], title: str, labels: tuple[str, str], ink: bool = True
) -> Figure:
    """Decoded latents (side, side, height, width, channels) as one picture.

    `ticks` (side,) are the latent values of both axes. The first axis of `images` runs upwards.
    """
    side, _, height, width, _ = images.shape
    figure = Figure(figsize=(9, 9.4), layout="constrained")
    axes = figure.subplots()
    show_image(axes, tile(images[::-1]), ink)
    shown = np.linspace(0, side - 1, 7).round().astype(int)
    names = [f"{ticks[index]:.2f}" for index in shown]
    axes.set_xticks((shown + 0.5) * width, names)
    axes.set_yticks((side - shown - 0.5) * height, names)
    axes.set(title=title, xlabel=labels[0], ylabel=labels[1])
    return figure


def draw_class_manifolds(grids: Mapping[str, DrawnGrid], title: str, ink: bool = True) -> Figure:
    """Decoded latents (side, side, height, width, channels) of each class as one picture each, under the class's name.

    The first axis of the images runs upwards.
    """
    columns = min(len(grids), MANIFOLDS_A_ROW)
    rows = -(-len(grids) // columns)
    figure = Figure(figsize=(2.6 * columns, 2.8 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, (name, images) in zip(panels, grids.items(), strict=False):
        show_image(axes, tile(images[::-1]), ink)
        axes.set_title(name)
    figure.suptitle(title)
    return figure


def draw_interpolations(paths: DrawnGrid, names: Sequence[str], title: str, ink: bool = True) -> Figure:
    """Decoded straight lines between latents (paths, steps, height, width, channels), one a row."""
    return draw_rows(paths, names, title, ink)


def latent_figures(drawing: Drawing) -> dict[str, Figure]:
    """The figures of latent space, by name; no manifold for a model of codes."""
    model, z_mean, labels = drawing.model, drawing.z_mean, drawing.labels
    points, axis_names = plane_view(z_mean[:, : model.latent_dim - model.label_dim])
    title = drawing.title("test set in latent space, z_mean by label")
    found = {
        "interpolations": _interpolations(drawing),
        "latent_space": draw_latent_space(points, axis_names, labels, drawing.classes, title),
    }
    if model.is_conditional:
        return found | {"manifold": _class_manifolds(drawing)}
    return found if model.has_codes else found | {"manifold": _manifold(drawing)}


def _interpolations(drawing: Drawing) -> Figure:
    """Lines from the first test image of each class to that of the next."""
    labels, classes, z_mean = drawing.labels, drawing.classes, drawing.z_mean
    firsts = [np.flatnonzero(labels == label)[0] for label in np.unique(labels)]
    pairs = list(zip(firsts, [*firsts[1:], firsts[0]], strict=True))
    lines = [latent_line(z_mean[start], z_mean[end], drawing.settings.steps) for start, end in pairs]
    paths = np.stack([decode(drawing.model, line) for line in lines])
    names = [f"{classes[labels[start]]} to {classes[labels[end]]}" for start, end in pairs]
    return draw_interpolations(paths, names, drawing.title("lines in latent space between test images"), drawing.ink)


def _manifold(drawing: Drawing) -> Figure:
    latent_dim = drawing.model.latent_dim
    grid, quantiles, names = prior_grid(drawing.settings.manifold_size, drawing.z_mean)
    what = "latent manifold" if latent_dim <= 2 else f"2-D slice of {latent_dim} latents, the others at 0"
    return draw_manifold(decode(drawing.model, grid), quantiles, drawing.title(what), names, drawing.ink)


def _class_manifolds(drawing: Drawing) -> Figure:
    side, present = -(-drawing.settings.manifold_size // 3), np.flatnonzero(np.bincount(drawing.labels) >= LEAST_IMAGES)
    of_class = {label: drawing.z_mean[drawing.labels == label] for label in present}
    grids = {drawing.classes[label]: decode(drawing.model, class_grid(side, z)) for label, z in of_class.items()}
    return draw_class_manifolds(
        grids, drawing.title("each class along its two main directions in latent space"), drawing.ink
    )


FIGURES = latent_figures
