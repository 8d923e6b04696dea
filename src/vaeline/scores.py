"""The table of scores: the name, unit, better direction and group of each score of an image.

A score is a column of `reports/scores.parquet`, and its mean over the test images is `GROUP.NAME` in
`reports/metrics.json` and `GROUP/NAME` in MLflow. This module does not import Keras or MLflow.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

KEYS = ("image", "label")  # columns of `scores.parquet` that are not scores
MODEL_FREE = ("png_bits",)  # columns that are the same for every model

HEAT_MAP = "heat_map"
DEFECTS = "defects"  # the group of HEAT_MAP, and what `gate.ood_kind` calls defective test images

Better = Literal["lower", "higher", ""]


@dataclass(frozen=True)
class Score:
    """The properties of a score.

    title: its name in tables and figures.
    unit: the unit of one image's score.
    better: the better direction; empty if there is none.
    group: its group of metrics.
    protocol: the entries of the protocol in `metrics.json` that say how it was measured, as `group.key`. Two scores
        are compared only if these entries are equal.
    formula: its formula, if the title does not give it.
    ood: whether a higher score means a more unusual image. Such a score can detect OOD (out-of-distribution) images.
    headline: whether the closing table of a run and the tags of a registered version contain it.
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
    HEAT_MAP: Score("heat map", "standard deviations", "", DEFECTS, ("defects.pixels", "defects.heat_map")),
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
    """The title of a score. A score that the table does not have keeps its name."""
    return SCORES[name].title if name in SCORES else name


def unit_of(name: str) -> str:
    """The unit and the better direction of a score."""
    known = SCORES.get(name)
    better = f" ({known.better} is better)" if known and known.better else ""
    return f"{known.unit}{better}" if known else "unit unknown"


def better_direction(name: str) -> str:
    """`lower` or `higher`. Empty for a score that is unknown or has no better direction."""
    return SCORES[name].better if name in SCORES else ""


def metric_of(name: str) -> str:
    """MLflow's name of the mean of a score, such as `test/neg_elbo`."""
    return f"{SCORES[name].group}/{name}"


def loss_of(names: Iterable[str]) -> str:
    """The loss among a model's scores: −ELBO, or the reconstruction if the model has no bound.

    Raises:
        StopIteration: there is none.
    """
    present = set(names)
    return next(name for name in LOSSES if name in present)
