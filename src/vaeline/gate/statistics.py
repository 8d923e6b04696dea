"""Whether a candidate is better than a champion, by bounds on paired gains over images and seeds.

A gain is positive if the candidate is better: champion − candidate for a loss, candidate − champion for an accuracy.
Gains are arrays (seeds, images): one row for each training of the candidate's configuration, on the same images with
the same noise. Bounds are one-sided at `confidence`: `low` and `high` together leave out 2 · (1 − confidence).
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Integer
from scipy import stats

from vaeline.evaluation.comparison import holm

Verdict = Literal["pass", "inconclusive", "fail"]
PASS, INCONCLUSIVE, FAIL = "pass", "inconclusive", "fail"
DRAWS_AT_ONCE = 2**21


class Bound(NamedTuple):
    """A mean gain with its lower and upper bound, each one-sided at the same confidence."""

    mean: float
    low: float
    high: float


def paired_gains(
    champion: np.ndarray | float, candidates: Float[np.ndarray, "*seeds images"], better: str
) -> Float[np.ndarray, "seeds images"]:
    """Gains (seeds, images) of `candidates` (seeds, images) over `champion` (images,), or over one fixed score.

    better: the better direction of the metric, `lower` or `higher`.
    """
    return {"lower": 1.0, "higher": -1.0}[better] * (champion - np.atleast_2d(candidates))


def mean_gain(
    gains: Float[np.ndarray, "seeds images"],
    labels: Integer[np.ndarray, " images"],
    confidence: float,
    resamples: int,
    rng: np.random.Generator,
) -> Bound:
    """The mean over seeds and images, with bounds for other such images and, with several seeds, for other seeds.

    The bounds over images are those of the percentile bootstrap of the per-image means over seeds, stratified by the
    labels (images,) (Efron & Tibshirani 1993, chapter 13). The bounds over seeds are Student's t on the seeds' means.
    The two distances from the mean are combined as the root of the sum of their squares (Zou & Donner 2008,
    doi:10.1002/sim.3095). A single seed does not show the spread of seeds; the caller's margin must then cover it.
    """
    mean = float(gains.mean())
    draws = stratified_means(gains.mean(axis=0), labels, resamples, rng)
    low, high = np.quantile(draws, [1 - confidence, confidence])
    seeds = seed_distance(gains.mean(axis=1), confidence)
    return Bound(mean, mean - float(np.hypot(mean - low, seeds)), mean + float(np.hypot(high - mean, seeds)))


def stratified_means(
    values: Float[np.ndarray, " images"],
    labels: Integer[np.ndarray, " images"],
    resamples: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, " {resamples}"]:
    """Means (resamples,) of values (images,) drawn with replacement within each label; each label keeps its number.

    Drawing n values out of n gives only (n − 1)/n of the variance. The deviations of each label are widened to correct
    this, which matters if a class has only tens of images (Rao & Wu 1988).

    Raises:
        ValueError: a label has a single image, so its variance is unknown.
    """
    total = np.zeros(resamples)
    for label in np.unique(labels):
        own = values[labels == label]
        if len(own) < 2:
            raise ValueError(f"the label {label} has a single image")
        widened = own.mean() + (own - own.mean()) * np.sqrt(len(own) / (len(own) - 1))
        for rows in np.array_split(np.arange(resamples), -(-resamples * len(own) // DRAWS_AT_ONCE)):
            drawn = rng.integers(len(own), size=(len(rows), len(own)))
            total[rows] += widened[drawn].sum(axis=1)
    return total / len(values)


def seed_distance(means: Float[np.ndarray, " seeds"], confidence: float) -> float:
    """One-sided distance of the mean of `means` (seeds,) from that of all seeds, by Student's t; 0 for one seed."""
    if len(means) < 2:
        return 0.0
    return float(stats.t.ppf(confidence, len(means) - 1) * stats.sem(means))


def judge_gain(gain: Bound, least: float, margin: float) -> Verdict:
    """`pass` if the lower bound is above `least`, `fail` if the upper bound is a loss of more than `margin`."""
    if gain.low > least:
        return PASS
    return FAIL if gain.high < -margin else INCONCLUSIVE


def judge_labels(
    gains: Float[np.ndarray, "seeds images"], labels: Integer[np.ndarray, " images"], margin: float, confidence: float
) -> pd.DataFrame:
    """The gain of every label, and whether it is a loss of more than `margin`; one row for each label.

    Columns `label`, `images`, `gain`, `low` and `high` (each label's own bounds), `p_holm` and `verdict`. `fail` if
    Student's t over images and seeds shows a loss above the margin, after Holm's correction for the number of labels.
    With a confidence of 0.95, a candidate without a real loss fails in at most one of 20 cases.
    `inconclusive` if the mean loss is above the margin but not shown to be.
    """
    present = np.unique(labels)
    slices = [gains[:, labels == label] for label in present]
    means = np.array([own.mean() for own in slices])
    errors, freedoms = np.array([_standard_error(own) for own in slices]).T
    reach = stats.t.ppf(confidence, freedoms) * errors
    with np.errstate(divide="ignore", invalid="ignore"):
        p = stats.t.cdf((means + margin) / errors, freedoms)
    corrected = holm(np.where(np.isnan(p), 1.0, p))
    verdicts = np.select([corrected < 1 - confidence, means < -margin], [FAIL, INCONCLUSIVE], PASS)
    sizes = [own.shape[1] for own in slices]
    return pd.DataFrame(
        {"label": present.astype(int), "images": sizes, "gain": means, "low": means - reach, "high": means + reach}
        | {"p_holm": corrected, "verdict": verdicts}
    )


def overall(verdicts: Iterable[str]) -> Verdict:
    """`fail` if any verdict is fail, `pass` if all are pass, else `inconclusive`."""
    found = set(verdicts)
    if FAIL in found:
        return FAIL
    return PASS if found == {PASS} else INCONCLUSIVE


def gain_of_chance(means: Sequence[float], confidence: float) -> float:
    """The largest gain, with this confidence, that one seed has over another of the same parameters by chance.

    It is √2 · s · t, a prediction bound for the difference of two further seeds. s is the standard deviation of the
    mean scores of some seeds, and t has one degree of freedom less than there are seeds. It sets `gate.min_gain`.
    """
    spread = float(np.std(means, ddof=1))
    return float(np.sqrt(2) * spread * stats.t.ppf(confidence, len(means) - 1))


def label_loss_of_chance(means: Float[np.ndarray, "seeds labels"], confidence: float) -> float:
    """The largest loss by chance in any one label, from mean scores (seeds, labels). It sets `gate.slice_margin`.

    The confidence is divided between the labels (Bonferroni); the label with the largest spread decides.
    """
    seeds, labels = means.shape
    spread = float(means.std(axis=0, ddof=1).max())
    return float(np.sqrt(2) * spread * stats.t.ppf(1 - (1 - confidence) / labels, seeds - 1))


def _standard_error(gains: Float[np.ndarray, "seeds images"]) -> tuple[float, float]:
    """Standard error of the mean of gains (seeds, images), and its degrees of freedom (Satterthwaite 1946)."""
    seeds, images = gains.shape
    if images < 2:
        return float("nan"), 1.0
    parts = [(gains.mean(axis=0).var(ddof=1) / images, images - 1)]
    if seeds > 1:
        parts.append((gains.mean(axis=1).var(ddof=1) / seeds, seeds - 1))
    variance = sum(part for part, _ in parts)
    if not variance:
        return 0.0, 1.0
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    return float(np.sqrt(variance)), float(freedom)
