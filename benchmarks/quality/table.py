"""The quality table: what is measured, what others have published, and our goals."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from quality.trainings import Result

MNIST = "mnist"
PICTURES = ("sign-digits", "clothing128", "magnetic-tile192")
"""Data sets of photographs, which the benchmark expects in `data/own`."""
NOT_SHOWN = ("magnetic-tile192",)
"""Those whose licence does not let us show pictures of them."""


ON_GPU = ("resconv-40d-flow",)
"""Presets for one GPU; they are trained only when they are named."""


@dataclass(frozen=True)
class Row:
    """One figure of a preset. `against` names another preset to compare with, seed by seed.

    `needs` are parameters of the measurement that differ from those of the preset. `data` is the data set in the table.
    """

    preset: str
    measure: str
    anchor: str
    reach: str
    figure: Callable[..., float]
    form: str = "{:.2f}"
    against: str = ""
    needs: dict[str, Any] = field(default_factory=dict)
    data: str = MNIST

    @property
    def name(self) -> str:
        """The preset, and the data set where it is one of pictures: the name of the result."""
        return f"{self.preset}-{self.data}" if self.data in PICTURES else self.preset


def metric(group: str, *path: str, scale: float = 1.0) -> Callable[[Result], float]:
    """A figure of `reports/metrics.json`."""

    def read(result: Result) -> float:
        value = result["metrics"][group]
        for key in path:
            value = value[key]
        return scale * value

    return read


def gain(group: str, *path: str) -> Callable[[Result, Result], float]:
    """How much lower a figure is than that of the other result."""
    read = metric(group, *path)
    return lambda result, other: read(other) - read(result)


def refitted(result: Result) -> float:
    """Fréchet distance of samples from the fitted prior against those from N(0, I), as a change in percent."""
    samples = result["metrics"]["samples"]
    return 100 * (samples["frechet"] / samples["unfitted_frechet"] - 1)


def codes_in_use(result: Result) -> float:
    """Perplexity of the codes over the test set, as a share of the codebook."""
    codes = result["metrics"]["codes"]
    return codes["perplexity"] / codes["codes"]


def against_components(result: Result) -> float:
    """The squared error of the test images as a share of that of as many principal components as there are latents."""
    return result["metrics"]["test"]["mse"] / result["components_mse"]


def error_ratio(result: Result, other: Result) -> float:
    """The squared error of the test images as a share of that of the other result."""
    return result["metrics"]["test"]["mse"] / other["metrics"]["test"]["mse"]


def over_floor(result: Result) -> float:
    """Fréchet distance of samples as a multiple of that of training images."""
    samples = result["metrics"]["samples"]
    return samples["frechet"] / samples["floor_frechet"]


IWAE = "resmlp-40d-iwae"
GAIN = gain("test", "nll")
NLL = "NLL, importance-weighted, k = 5,000"
ALL_IMAGES = {"evaluate.nll_images": 10_000}
LONG = {**ALL_IMAGES, "evaluate.nll_samples": 5_000}
FEWER = {"evaluate.nll_samples": 100, "evaluate.samples": 2_000, "evaluate.restoration_images": 20}
TILES = {"data": "magnetic-tile192", "needs": {"data.good": "MT_Free", "data.image.fit": "stretch"}}
ROWS = (
    Row(
        "resmlp-2d", "−ELBO, grey", "139.4 best public; 136.8 literature", "≤ 133 in 10 min", metric("test", "neg_elbo")
    ),
    Row("resmlp-2d", "NLL, exact", "132.6", "≤ 131", metric("test", "nll"), needs=ALL_IMAGES),
    Row("mlp-20d", "−ELBO, grey", "105.6; 94.8", "≤ 96 in 10 min", metric("test", "neg_elbo")),
    Row("mlp-20d", "kNN on z_mean, %", "96–97", "≥ 97", metric("latents", "knn_accuracy", scale=100)),
    Row("resmlp-40d", NLL, "86.76 (3,280 epochs)", "≤ 84.5 in 30 min", metric("test", "nll"), needs=LONG),
    Row("resmlp-40d-half", NLL, "–", "–", metric("test", "nll"), needs=LONG),
    Row(IWAE, NLL, "–", "–", metric("test", "nll"), needs=LONG),
    Row(IWAE, "gain over k = 1, as many epochs", "1.2", "≥ 0.8", GAIN, against="resmlp-40d-half", needs=LONG),
    Row(IWAE, "gain over k = 1, half as many epochs", "1.2", "≥ 0.8", GAIN, against="resmlp-40d", needs=LONG),
    Row("resmlp-40d-flow", NLL, "about 3 below N(0, I)", "≤ 83 in 30 min", metric("test", "nll"), needs=LONG),
    Row("resconv-40d-flow", NLL, "79.84 (78.49 static)", "≤ 79, one GPU, 10 min", metric("test", "nll"), needs=LONG),
    Row("cvae", "samples named right, %", "–", "≥ 99", metric("conditional", "sample_accuracy", scale=100)),
    Row("cvae", "trained on samples, CAS, %", "–", "≥ 97", metric("conditional", "cas_accuracy", scale=100)),
    Row("cvae", "Bayes' rule, %", "–", "≥ 98", metric("conditional", "bayes_accuracy", scale=100)),
    Row("vqvae", "test MSE ÷ variance", "0.0444 (train)", "≤ 0.035", metric("test", "mse_share"), "{:.4f}"),
    Row("vqvae", "codes in use, %", "–", "100", metric("codes", "usage", scale=100)),
    Row("vqvae", "perplexity ÷ codes", "–", "≥ 0.6", codes_in_use),
    Row("vqvae", "prior, nats a code", "1.034", "≤ 1.00", metric("codes", "nats_per_code"), "{:.3f}"),
    Row("mlp-20d-mixture", "Fréchet, fitted prior, against N(0, I), %", "−8 to −82", "−40", refitted, "{:.0f}"),
    Row("mlp-20d", "AUROC, mirrored", "0.81", "≥ 0.75", metric("ood", "hflip", "one_class", "auroc"), "{:.3f}"),
    Row("mlp-20d", "AUROC, upside down", "–", "≥ 0.85", metric("ood", "vflip", "one_class", "auroc"), "{:.3f}"),
    Row("mlp-20d", "AUROC, noise", "1.00", "1.00", metric("ood", "noise", "one_class", "auroc"), "{:.3f}"),
    Row(
        "fashion-20d",
        "−ELBO, grey",
        "244.6 (PyTorch's example, run here)",
        "below that",
        metric("test", "neg_elbo"),
        data="fashion_mnist",
    ),
    Row("fashion-20d", "test MSE ÷ PCA's", "–", "≤ 0.85", against_components, "{:.3f}", data="fashion_mnist"),
    *(
        Row("photos-64", measure, "–", reach, figure, "{:.3f}", data=data, needs=FEWER)
        for data in ("sign-digits", "clothing128")
        for measure, reach, figure in (
            ("test MSE ÷ PCA's", "≤ 0.80", against_components),
            ("bits a dimension, k = 100", "–", metric("test", "bits_per_dim")),
            ("samples' Fréchet ÷ floor", "–", over_floor),
        )
    ),
    *(
        Row("photos-64-vq", measure, "–", reach, figure, form, data=data, needs=FEWER, **other)
        for data in ("sign-digits", "clothing128")
        for measure, reach, figure, form, other in (
            ("test MSE ÷ that of photos-64", "≤ 0.5", error_ratio, "{:.3f}", {"against": "photos-64"}),
            ("test MSE ÷ variance", "–", metric("test", "mse_share"), "{:.4f}", {}),
            ("codes in use, %", "100", metric("codes", "usage", scale=100), "{:.2f}", {}),
            ("samples' Fréchet ÷ floor", "below photos-64", over_floor, "{:.3f}", {}),
        )
    ),
    *(
        Row("defects", f"{what} AUROC{of}", anchor, reach, metric("defects", "all", score, figure), "{:.3f}", **TILES)
        for what, figure, published in (("image", "auroc", "0.766 (GANomaly)"), ("pixel", "pixel_auroc", "–"))
        for of, score, anchor, reach in (
            ("", "heat_map", published, "≥ 0.85, above both below"),
            (" of principal components", "pca_heat_map", "–", "–"),
            (" of the nearest neighbour", "neighbour_heat_map", "–", "–"),
        )
    ),
    Row(
        "one-class", "AUROC, mean of ten digits, %", "94.8", "≥ 96", metric("one_class", "mean", "one_class", scale=100)
    ),
)
