"""What the prior of a model holds: its latent space decoded, and samples; by what the model is."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure

from vaeline.codes.figure import draw_codes
from vaeline.codes.usage import count_uses, perplexity
from vaeline.evaluation.inference import decode, sample
from vaeline.figures.images import draw_rows
from vaeline.latents.figure import draw_class_manifolds, draw_interpolations, draw_manifold
from vaeline.latents.traversal import class_grid, prior_grid
from vaeline.models.generative import GenerativeModel
from vaeline.params.plot import PlotParams

LEAST_IMAGES = 3


def draw_prior(
    model: GenerativeModel,
    settings: PlotParams,
    z_mean: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    title: Callable[[str], str],
) -> dict[str, Figure]:
    """Figures by name, from the posterior means (count, latent_dim) of the test images and their labels (count,)."""
    if model.is_conditional:
        return _by_class(model, settings, z_mean, labels, classes, title)
    columns = settings.columns
    samples = draw_samples(sample(model, 10 * columns, settings.seed), columns, title("samples from the prior"))
    if model.has_codes:
        uses = count_uses(model, z_mean)
        codes = draw_codes(uses, perplexity(uses), title("how often the test set uses each code"))
        return {"codes": codes, "samples": samples}
    grid, quantiles, names = prior_grid(settings.manifold_size, z_mean)
    what = "latent manifold" if model.latent_dim <= 2 else f"2-D slice of {model.latent_dim} latents, the others at 0"
    return {"manifold": draw_manifold(decode(model, grid), quantiles, title(what), names), "samples": samples}


def _by_class(model, settings, z_mean, labels, classes, title) -> dict[str, Figure]:
    side, present = -(-settings.manifold_size // 3), np.flatnonzero(np.bincount(labels) >= LEAST_IMAGES)
    grids = {classes[label]: decode(model, class_grid(side, z_mean[labels == label])) for label in present}
    rows = np.stack([sample(model, settings.columns, settings.seed, label) for label in range(len(classes))])
    return {
        "manifold": draw_class_manifolds(grids, title("each class along its two main directions in latent space")),
        "samples": draw_interpolations(rows, classes, title("samples of each class")),
    }


def draw_samples(images: np.ndarray, columns: int, title: str) -> Figure:
    """Images (count, height, width), `columns` a row."""
    rows = len(images) // columns
    return draw_rows(images[: rows * columns].reshape(rows, columns, *images.shape[1:]), [""] * rows, title)
