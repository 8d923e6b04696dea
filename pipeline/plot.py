"""Stage `plot`: what the model learned, as pictures in `reports/figures`."""

from pathlib import Path

import numpy as np
import pandas as pd
from keras import ops
from scipy.stats import norm
from sklearn.decomposition import PCA

from vaeline.artifacts import atomic_directory
from vaeline.compute import fix_threads
from vaeline.data.prepared import read_prepared, scale
from vaeline.errors import run_stage
from vaeline.evaluation.likelihood import encode
from vaeline.figures.canvas import save_figure
from vaeline.figures.charts import draw_class_losses, draw_latent_space, draw_learning_curves
from vaeline.figures.images import (
    draw_hardest,
    draw_interpolations,
    draw_manifold,
    draw_reconstructions,
    draw_samples,
)
from vaeline.models.archive import load_model
from vaeline.params import read_params
from vaeline.tracking.sync import record

PREPARED = Path("data/prepared")
MODEL = Path("models/vae.keras")
REPORTS = Path("reports")
FIGURES = REPORTS / "figures"
COLUMNS = 10
STEPS = 12


def main() -> None:
    params = read_params()
    settings, side = params.plot, params.plot.manifold_size
    fix_threads(params.compute.threads)
    prepared, model = read_prepared(PREPARED), load_model(MODEL)
    test, title, classes = prepared.splits["test"], prepared.title, prepared.classes
    images = scale(test.images)
    scores = pd.read_parquet(REPORTS / "scores.parquet")
    z_mean, _ = encode(model, images)
    model_name = f"{model.network.architecture}, {model.latent_dim}-D"

    quantiles = norm.ppf((np.arange(side) + 0.5) / side)
    grid = np.zeros((side, side, model.latent_dim), "float32")
    if model.latent_dim == 1:
        grid[..., 0] = quantiles
        axis_names, note = ("z₁", "the same (one latent only)"), "latent line"
    else:
        busiest = np.sort(np.argsort(-z_mean.var(axis=0), kind="stable")[:2])
        grid[..., busiest[0]], grid[..., busiest[1]] = quantiles, quantiles[:, None]
        axis_names = tuple(f"z{index + 1}, quantiles of the prior" for index in busiest)
        whole = model.latent_dim == 2
        note = "latent manifold" if whole else f"2-D slice of {model.latent_dim}-D latents, the others at 0"
    manifold = decode(model, grid.reshape(-1, model.latent_dim)).reshape(side, side, *model.image_shape)

    generator = np.random.default_rng(settings.seed)
    chosen = generator.permutation(len(images))[: 4 * COLUMNS]
    reconstructed = decode(model, z_mean[chosen])
    firsts = [np.flatnonzero(test.labels == label)[0] for label in np.unique(test.labels)]
    pairs = list(zip(firsts, [*firsts[1:], firsts[0]], strict=True))
    steps = np.linspace(0, 1, STEPS, dtype="float32")[:, None]
    paths = np.stack([decode(model, (1 - steps) * z_mean[start] + steps * z_mean[end]) for start, end in pairs])
    path_names = [f"{classes[test.labels[start]]} to {classes[test.labels[end]]}" for start, end in pairs]
    samples = np.asarray(model.sample(10 * COLUMNS, settings.seed))
    hardest = scores.nlargest(COLUMNS, "neg_elbo")
    notes = [f"{classes[row.label]}, {row.neg_elbo:.0f} nats" for row in hardest.itertuples()]

    points, point_axes = z_mean, ("z₁", "z₂")
    if model.latent_dim > 2:
        projection = PCA(2, svd_solver="full").fit(z_mean)
        points = projection.transform(z_mean)
        point_axes = tuple(
            f"principal component {index + 1} ({share:.0%} of the variance)"
            for index, share in enumerate(projection.explained_variance_ratio_)
        )
    elif model.latent_dim == 1:
        points, point_axes = np.column_stack([z_mean, scores["neg_elbo"]]), ("z₁", "−ELBO, nats per image")

    history = pd.read_csv(REPORTS / "history.csv")
    by_class = pd.read_csv(REPORTS / "per_class.csv", index_col="class")
    figures = {
        "manifold": draw_manifold(manifold, quantiles, f"{title}: {note} ({model_name})", axis_names),
        "reconstructions": draw_reconstructions(
            images[chosen], reconstructed, COLUMNS, f"{title}: test images and their reconstructions ({model_name})"
        ),
        "interpolations": draw_interpolations(
            paths, path_names, f"{title}: straight lines in latent space between test images ({model_name})"
        ),
        "samples": draw_samples(samples, COLUMNS, f"{title}: samples from the prior ({model_name})"),
        "hardest": draw_hardest(
            images[hardest["image"]], decode(model, z_mean[hardest["image"]]), notes,
            f"{title}: the test images with the highest −ELBO ({model_name})",
        ),
        "latent_space": draw_latent_space(
            points, test.labels, classes, f"{title}: test set in latent space ({model_name})", point_axes
        ),
        "learning_curves": draw_learning_curves(history, f"{title}: training of {model_name}"),
        "class_losses": draw_class_losses(by_class, f"{title}: test loss by class ({model_name})"),
    }
    with atomic_directory(FIGURES) as directory:
        for name, figure in figures.items():
            save_figure(figure, directory / f"{name}.png")
    record("plot")
    print(f"plot: {len(figures)} figures of {title} in {FIGURES}")


def decode(model, latents: np.ndarray) -> np.ndarray:
    """Expected images of latents (count, latent_dim), in one batch."""
    return ops.convert_to_numpy(model.decode(latents))


if __name__ == "__main__":
    run_stage(main)
