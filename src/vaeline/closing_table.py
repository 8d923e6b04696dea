"""The table and the sentences that a run prints at its end."""

import re
from collections.abc import Mapping

from mlflow.entities import Run
from rich.console import Console
from rich.table import Table

from vaeline.scores import HEADLINES, metric_of, title_of

NOT_GROUPS = re.compile(r"train|validation|test(_class_.*)?")  # metrics of epochs, and those in the table itself
MOST_FIGURES = 4
NEXT_OF_DIGITS = "make run PRESET=mlp-20d (a larger latent space)"
NEXT_OF_OTHERS = "vaeline thresholds (measure what the gate needs for these images)"
SENTENCES: dict[str, tuple[str, ...]] = {  # for each group: the sentence and the metrics that it quotes
    "latents": (
        "latents: {:.1%} of test images are classified correctly by their 5 nearest training images",
        "knn_accuracy",
    ),
    "samples": (
        "samples: Fréchet distance {:.1f} (real images: {:.1f}), precision {:.2f}, recall {:.2f}",
        "frechet",
        "floor_frechet",
        "precision",
        "recall",
    ),
    "conditional": (
        "classes: {:.1%} of samples show their class; {:.1%} of test images are classified correctly by Bayes' rule, "
        "{:.1%} by a classifier that is trained on samples only",
        "sample_accuracy",
        "bayes_accuracy",
        "cas_accuracy",
    ),
    "ood": (
        "anomalies: the −ELBO detects mirrored images with AUROC {:.2f}, rotated ones with {:.2f}",
        "hflip.neg_elbo.auroc",
        "rotation.neg_elbo.auroc",
    ),
    "defects": (
        "defects: heat maps tell defective images from good ones with AUROC {:.2f} (principal components: {:.2f})",
        "all.heat_map.auroc",
        "all.pca_heat_map.auroc",
    ),
    "codes": (
        "codes: {:.0%} of {:.0f} used, perplexity {:.1f}; a code costs {:.2f} nats, MSE is {:.1%} of the variance",
        "usage",
        "codes",
        "perplexity",
        "nats_per_code",
        "mse_share",
    ),
    "compression": (
        "compression: {:.0f} bits an image with MSE {:.4f} (PNG: {:.0f} bits)",
        "code_bits",
        "code_mse",
        "png_bits",
    ),
    "restoration": (),
}


def print_summary(run: Run, name: str, version: str | int) -> None:
    """Print a short table of the run's test metrics, the paths of its figures, and what to try next."""
    tags, metrics = run.data.tags, run.data.metrics
    table = Table(title=f"{run.info.run_name} on the test set of {tags['vaeline.dataset']}", title_justify="left")
    shown = [score for score in HEADLINES if metric_of(score) in metrics]
    for column in (*map(title_of, shown), "run", "version"):
        table.add_column(column, justify="right")
    figures = [f"{metrics[key]:.2f} ± {metrics[f'{key}_se']:.2f}" for key in map(metric_of, shown)]
    table.add_row(*figures, run.info.run_name, f"{name} v{version}")
    console = Console(width=None if Console().is_terminal else 120)
    console.print(table)
    console.print("Nats per image, mean ± standard error; lower is better. From reports/metrics.json:", highlight=False)
    for sentence in group_sentences(metrics):
        console.print(f"  {sentence}", highlight=False)
    console.print("Pictures: reports/figures    Data checks: reports/validation/docs/index.html", highlight=False)
    further = NEXT_OF_DIGITS if tags["vaeline.dataset"] == "mnist" else NEXT_OF_OTHERS
    console.print(f"Next: make ui (compare runs in MLflow), {further}", highlight=False)


def group_sentences(metrics: Mapping[str, float]) -> list[str]:
    """One sentence for each group of metrics. The keys of `metrics` are MLflow's names, `group/name`.

    A group without an entry in `SENTENCES` shows its first metrics.
    """
    groups: dict[str, dict[str, float]] = {}
    for key, value in metrics.items():
        group, _, figure = key.partition("/")
        if figure and not NOT_GROUPS.fullmatch(group):
            groups.setdefault(group, {})[figure] = value
    order = [*SENTENCES, *sorted(groups.keys() - SENTENCES.keys())]
    return [sentence for group in order if group in groups and (sentence := _sentence(group, groups[group]))]


def _sentence(group: str, figures: Mapping[str, float]) -> str:
    if group not in SENTENCES:
        return f"{group}: " + ", ".join(f"{name} {figures[name]:.4g}" for name in sorted(figures)[:MOST_FIGURES])
    text, *names = SENTENCES[group] or ("",)
    return text.format(*(figures[name] for name in names)) if figures.keys() >= set(names) else ""
