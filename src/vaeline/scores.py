"""The table of scores: what each score of an image is called, its unit, its better direction, where it is measured.

A score is a column of `reports/scores.parquet`, and its mean over the test images is `GROUP.NAME` in
`reports/metrics.json` and `GROUP/NAME` in MLflow. This module imports nothing heavy.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

KEYS = ("image", "label")  # the columns of `scores.parquet` that are no scores
MODEL_FREE = ("png_bits",)  # columns that are the same for every model

Better = Literal["lower", "higher", ""]


@dataclass(frozen=True)
class Score:
    """What is known of a score.

    title: in tables and figures. unit: of the score of one image. better: the better direction, empty where there is
    none. group: the group of figures that it belongs to. protocol: the entries of the protocol in `metrics.json` that
    say how it was measured, `group.key`; scores compare only where these entries are equal. formula: what it is, where
    the title does not say it. ood: whether a higher score means that an image is more unusual, so that it can detect
    OOD (out-of-distribution) images. headline: whether it stands in the table that ends a run and in the tags of a
    registered version.
    """

    title: str
    unit: str
    better: Better
    group: str
    protocol: tuple[str, ...]
    formula: str = ""
    ood: bool = False
    headline: bool = False


_ELBO = ("test.likelihood", "test.pixels", "test.z")
_CODE = "compression.code"
SCORES = {
    "neg_elbo": Score("−ELBO", "nats", "lower", "test", _ELBO, "−ELBO", ood=True, headline=True),
    "reconstruction": Score(
        "reconstruction", "nats", "lower", "test", _ELBO, "reconstruction, −log p(x|z)", ood=True, headline=True
    ),
    "kl": Score("KL", "nats", "", "test", ("test.pixels",), "KL(q(z|x) ‖ p(z))", ood=True, headline=True),
    "nll": Score("NLL", "nats", "lower", "test", ("test.nll_pixels", "test.nll", "test.nll_bound"), headline=True),
    "nll_bound": Score("NLL bound", "nats", "lower", "test", ("test.nll_pixels", "test.nll_bound")),
    "nll_neg_elbo": Score("−ELBO beside NLL", "nats", "lower", "test", ("test.nll_pixels", "test.z")),
    "mse": Score("MSE a pixel", "squared grey", "lower", "test", ("test.pixels",)),
    "knn_accuracy": Score(
        "neighbours right", "share of images", "higher", "latents", ("latents.latents", "latents.knn")
    ),
    "probe_accuracy": Score(
        "probe right", "share of images", "higher", "latents", ("latents.latents", "latents.probe")
    ),
    "bayes_accuracy": Score("Bayes' rule right", "share of images", "higher", "conditional", ("conditional.bayes",)),
    "guess_accuracy": Score("guess right", "share of images", "higher", "conditional", ("conditional.guess",)),
    "one_class": Score("one-class", "nats", "", "ood", ("ood.pixels", "ood.one_class"), ood=True),
    "one_class_latent": Score("one-class, latent", "nats", "", "ood", ("ood.pixels", "ood.one_class_latent"), ood=True),
    "code_bits": Score("code, bits", "bits", "", "compression", ("compression.code_bits", _CODE)),
    "code_mse": Score("MSE of the code", "squared grey", "", "compression", ("compression.code_mse", _CODE)),
}
OOD_SCORES = tuple(name for name, score in SCORES.items() if score.ood)
HEADLINES = tuple(name for name, score in SCORES.items() if score.headline)
JUDGED = tuple(name for name, score in SCORES.items() if score.better)  # those that can judge which model is better
ELBO_PARTS = ("neg_elbo", "reconstruction", "kl")
LOSSES = ("neg_elbo", "reconstruction")
NATS = "nats per image"


def title_of(name: str) -> str:
    """What people call a score; its name where the table does not have it."""
    return SCORES[name].title if name in SCORES else name


def unit_of(name: str) -> str:
    """The unit of a score, and which direction is better."""
    known = SCORES.get(name)
    better = f" ({known.better} is better)" if known and known.better else ""
    return f"{known.unit}{better}" if known else "unit unknown"


def better_direction(name: str) -> str:
    """`lower`, `higher`, or nothing for a score that is unknown or has no better direction."""
    return SCORES[name].better if name in SCORES else ""


def metric_of(name: str) -> str:
    """The mean of a score as MLflow calls it: `test/neg_elbo`."""
    return f"{SCORES[name].group}/{name}"


def loss_of(names: Iterable[str]) -> str:
    """The loss among the scores that a model has: −ELBO, or the reconstruction of a model without a bound.

    Raises:
        StopIteration: there is none.
    """
    present = set(names)
    return next(name for name in LOSSES if name in present)
