"""What a run ends with on the terminal."""

from mlflow.entities import Run
from rich.console import Console
from rich.table import Table

FIGURES = {"−ELBO": "neg_elbo", "reconstruction": "reconstruction", "KL": "kl", "NLL": "nll"}
MORE = (
    ("latents: {:.1%} of test images are named by their 5 nearest training images", "latents/knn_accuracy"),
    (
        "samples: Fréchet distance {:.1f} (real images: {:.1f}), precision {:.2f}, recall {:.2f}",
        "samples/frechet",
        "samples/floor_frechet",
        "samples/precision",
        "samples/recall",
    ),
    (
        "classes: {:.1%} of samples are of the class they were drawn as, {:.1%} of test images told by Bayes' rule, "
        "{:.1%} by a classifier that saw samples alone",
        "conditional/sample_accuracy",
        "conditional/bayes_accuracy",
        "conditional/cas_accuracy",
    ),
    (
        "anomalies: the −ELBO tells mirrored images with AUROC {:.2f}, rotated ones with {:.2f}",
        "ood/hflip.neg_elbo.auroc",
        "ood/rotation.neg_elbo.auroc",
    ),
    (
        "codes: {:.0%} of {:.0f} used, perplexity {:.1f}; a code costs {:.2f} nats, MSE is {:.1%} of the variance",
        "codes/usage",
        "codes/codes",
        "codes/perplexity",
        "codes/nats_per_code",
        "codes/mse_share",
    ),
    (
        "compression: {:.0f} bits an image with MSE {:.4f} (PNG: {:.0f} bits)",
        "compression/code_bits",
        "compression/code_mse",
        "compression/png_bits",
    ),
)


def print_summary(run: Run, name: str, version: str | int) -> None:
    """A short table of the run's test figures, where its pictures are, and what to try next."""
    tags, metrics = run.data.tags, run.data.metrics
    table = Table(title=f"{run.info.run_name} on the test set of {tags['vaeline.dataset']}", title_justify="left")
    shown = {title: f"test/{key}" for title, key in FIGURES.items() if f"test/{key}" in metrics}
    for column in (*shown, "run", "version"):
        table.add_column(column, justify="right")
    figures = [f"{metrics[name]:.2f} ± {metrics[f'{name}_se']:.2f}" for name in shown.values()]
    table.add_row(*figures, run.info.run_name, f"{name} v{version}")
    console = Console(width=None if Console().is_terminal else 120)
    console.print(table)
    console.print("Nats per image, mean ± standard error; lower is better. From reports/metrics.json:", highlight=False)
    for text, *names in MORE:
        if metrics.keys() >= set(names):
            console.print(f"  {text.format(*(metrics[name] for name in names))}", highlight=False)
    console.print("Pictures: reports/figures    Data checks: reports/validation/docs/index.html", highlight=False)
    console.print(
        "Next: make ui (compare runs in MLflow), make run PRESET=mlp-20d (a larger latent space)", highlight=False
    )
