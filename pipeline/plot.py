"""Stage `plot`: what the model learned, as pictures in `reports/figures`."""

from pathlib import Path

import numpy as np
import pandas as pd

from vaeline.anomaly.figure import draw_anomalies
from vaeline.artifacts import atomic_directory
from vaeline.compression.figure import draw_compression
from vaeline.compute import fix_threads
from vaeline.data.prepared import read_prepared, scale
from vaeline.errors import run_stage
from vaeline.evaluation.inference import decode, encode
from vaeline.figures.canvas import save_figure
from vaeline.figures.learning_curves import draw_learning_curves
from vaeline.latents.figure import draw_interpolations, draw_latent_space
from vaeline.latents.interpolation import latent_line
from vaeline.latents.traversal import plane_view
from vaeline.likelihood.figure import draw_class_losses, draw_hardest, draw_reconstructions
from vaeline.models.archive import load_model
from vaeline.params.base import read_section
from vaeline.params.compute import ComputeParams
from vaeline.params.evaluate import EvaluateParams
from vaeline.params.plot import PlotParams
from vaeline.restoration.figure import draw_restorations
from vaeline.restoration.restore import show_restoration
from vaeline.samples.figure import draw_prior
from vaeline.tracking.sync import record

PREPARED = Path("data/prepared")
MODEL = Path("models/vae.keras")
REPORTS = Path("reports")
FIGURES = REPORTS / "figures"
LOSSES = {"neg_elbo": "−ELBO", "reconstruction": "reconstruction"}


def main() -> None:
    settings = read_section("plot", PlotParams)
    evaluate = read_section("evaluate", EvaluateParams)
    compute = read_section("compute", ComputeParams)
    fix_threads(compute.threads)
    prepared, model = read_prepared(PREPARED), load_model(MODEL)
    test, classes = prepared.splits["test"], prepared.classes
    images, columns = scale(test.images), settings.columns
    z_mean, _ = encode(model, images, test.labels)
    unlabelled = z_mean[:, : model.latent_dim - model.label_dim]
    scores = pd.read_parquet(REPORTS / "scores.parquet")
    history = pd.read_csv(REPORTS / "history.csv")
    by_class = pd.read_csv(REPORTS / "per_class.csv", index_col="class")

    def title(what: str) -> str:
        return f"{prepared.title}: {what} ({model.title})"

    chosen = np.random.default_rng(settings.seed).permutation(len(images))[: 4 * columns]
    firsts = [np.flatnonzero(test.labels == label)[0] for label in np.unique(test.labels)]
    pairs = list(zip(firsts, [*firsts[1:], firsts[0]], strict=True))
    lines = [latent_line(z_mean[start], z_mean[end], settings.steps) for start, end in pairs]
    paths = np.stack([decode(model, line) for line in lines])
    path_names = [f"{classes[test.labels[start]]} to {classes[test.labels[end]]}" for start, end in pairs]
    loss = "neg_elbo" if model.has_bound else "reconstruction"
    hardest = scores.nlargest(columns, loss)
    rows = hardest["image"].to_numpy()
    notes = [f"{classes[label]}, {nats:.0f} nats" for label, nats in zip(hardest["label"], hardest[loss], strict=True)]

    figures = {
        "reconstructions": draw_reconstructions(
            images[chosen], decode(model, z_mean[chosen]), columns, title("test images and their reconstructions")
        ),
        "interpolations": draw_interpolations(paths, path_names, title("lines in latent space between test images")),
        "hardest": draw_hardest(
            images[rows],
            decode(model, z_mean[rows]),
            notes,
            title(f"test images with the highest {LOSSES[loss]}, label and {LOSSES[loss]}"),
        ),
        "latent_space": draw_latent_space(
            *plane_view(unlabelled), test.labels, classes, title("test set in latent space, z_mean by label")
        ),
        "learning_curves": draw_learning_curves(history, title("training")),
        "class_losses": draw_class_losses(by_class, title("test loss by class")),
        "anomalies": draw_anomalies(pd.read_csv(REPORTS / "anomaly.csv"), title("strange images told apart")),
    }
    figures |= draw_prior(model, settings, z_mean, test.labels, classes, title)
    if not pd.read_csv(REPORTS / "restoration.csv").empty:
        sigma, box = evaluate.noise_levels[-1], evaluate.box
        stages = show_restoration(model, images[chosen[:columns]], sigma, box, settings.seed)
        figures["restorations"] = draw_restorations(stages, title("damaged images and what the model makes of them"))
    curve = pd.read_csv(REPORTS / "compression.csv")
    if not curve.empty:
        figures["compression"] = draw_compression(curve, scores["png_bits"].mean(), title("latent code as compression"))
    with atomic_directory(FIGURES) as directory:
        for name, figure in figures.items():
            save_figure(figure, directory / f"{name}.png")
    record("plot")
    print(f"plot: {len(figures)} figures of {prepared.title} in {FIGURES}")


if __name__ == "__main__":
    run_stage(main)
