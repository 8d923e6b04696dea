"""Compare models on the same test images: paired differences of their per-image scores, with intervals.

A difference is always run − baseline. It varies far less over images than the scores do, because an image that is hard
for one model is hard for the other. Intervals are Student's t over images. They assume that images are independent, and
that a mean is normal because there are many: thousands overall, some tens in a class. They hold for these two trained
models on other images of the same kind, not for another training.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Integer
from scipy import stats

from vaeline.errors import VaelineError
from vaeline.params.base import flatten
from vaeline.scores import KEYS, MODEL_FREE, SCORES, better_direction, title_of

CONFIDENCE = 0.95
NOT_COMPARED = [*KEYS, *MODEL_FREE]
BETTER, WORSE, NOT_SHOWN, NO_VERDICT = "better", "worse", "no difference shown", ""


@dataclass(frozen=True)
class Evaluation:
    """One run's evaluation.

    scores: a row for each test image; `image`, `label`, and float columns, NaN where an image was not scored.
    protocol: how each group of scores was measured. test_data: what identifies the test images. classes: names of
    the labels; one without a name is called by its number.
    """

    name: str
    dataset: str
    test_data: Mapping[str, Any]
    protocol: Mapping[str, Mapping[str, Any]]
    scores: pd.DataFrame
    classes: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Runs against a baseline.

    overall: `run`, `score`, `images`, `baseline_mean`, `mean`, `difference`, `low`, `high`, `improved`, `verdict`.
    by_class: the same with `class` and `p_holm`, of the score `score` alone. differences: the paired differences of
    that score by run, each (images,). notes: sentences about what was left out.
    """

    baseline: str
    dataset: str
    score: str
    overall: pd.DataFrame
    by_class: pd.DataFrame
    differences: dict[str, Float[np.ndarray, " _"]]
    notes: tuple[str, ...]


def compare(evaluations: Sequence[Evaluation], score: str) -> Comparison:
    """Every evaluation against the first, overall for all scores that they share, by class for `score`.

    Raises:
        VaelineError: they are not about the same test images, or `score` is missing or was measured differently.
    """
    baseline, *others = evaluations
    overall, by_class, differences, notes = [], [], {}, []
    for other in others:
        require_same_images(baseline, other)
        paired = pair(baseline.scores, other.scores)
        reasons = protocol_differences(baseline, other)
        require_score(baseline, other, score, paired, reasons)
        notes += left_out(paired, reasons)
        compared = [name for name in paired if name not in reasons]
        overall += [{"run": other.name, "score": name, **summarize_pairs(*paired[name], name)} for name in compared]
        classes = compare_classes(*paired[score], baseline.scores["label"].to_numpy(), score)
        classes.insert(0, "run", other.name)
        by_class.append(classes)
        differences[other.name] = paired_differences(*paired[score])
    by_label = pd.concat(by_class, ignore_index=True)
    names = [baseline.classes.get(label, str(label)) for label in by_label["label"]]
    return Comparison(
        baseline.name,
        baseline.dataset,
        score,
        pd.DataFrame(overall),
        by_label.assign(label=names).rename(columns={"label": "class"}),
        differences,
        tuple(notes),
    )


def comparison_tables(comparison: Comparison) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, columns and cells, as text, of both tables of each run: all scores, and one score by class."""
    tables = []
    for run, overall in comparison.overall.groupby("run", sort=False):
        columns = ["score", "images", "baseline", "this run", "difference", "95 % interval", "improved", "verdict"]
        names = [title_of(score) for score in overall["score"]]
        title = f"{run} against {comparison.baseline} on the test set of {comparison.dataset}"
        tables.append((title, columns, _cells(names, overall)))
        by_class = comparison.by_class[comparison.by_class["run"] == run]
        title = f"{title_of(comparison.score)} by class: {run} against {comparison.baseline}"
        tables.append((title, ["class", *columns[1:]], _cells(by_class["class"], by_class)))
    return tables


def require_same_images(baseline: Evaluation, other: Evaluation) -> None:
    """Raise VaelineError unless both scored the same test images in the same order."""
    same = baseline.test_data == other.test_data and len(baseline.scores) == len(other.scores)
    if not same or (baseline.scores[list(KEYS)].to_numpy() != other.scores[list(KEYS)].to_numpy()).any():
        both = " and ".join(f"{each.name} ({len(each.scores):,} of {each.dataset})" for each in (baseline, other))
        raise VaelineError(f"{both} were not scored on the same test images; compare runs of one data set and split")


def protocol_differences(baseline: Evaluation, other: Evaluation) -> dict[str, str]:
    """The scores that were measured in different ways, each with a sentence about the difference.

    For example `in OTHER test.pixels is 'binary', not 'grey' as in BASELINE`. A score that is not in `SCORES` counts as
    different if anything in the protocols differs.
    """
    ours, theirs = flatten(baseline.protocol), flatten(other.protocol)
    changed = [key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key)]
    reasons = {}
    for name in other.scores.columns.difference(NOT_COMPARED, sort=False):
        own = [key for key in changed if name not in SCORES or key in SCORES[name].protocol]
        words = ", ".join(f"{key} is {theirs.get(key)!r}, not {ours.get(key)!r}" for key in own)
        if words:
            reasons[name] = f"in {other.name} {words} as in {baseline.name}"
    return reasons


def pair(
    baseline: pd.DataFrame, other: pd.DataFrame
) -> dict[str, tuple[Float[np.ndarray, " images"], Float[np.ndarray, " images"]]]:
    """Two arrays (images,) for each score that both runs have for some image; NaN in both if one lacks it."""
    paired = {}
    for name in other.columns.difference(NOT_COMPARED, sort=False).intersection(baseline.columns, sort=False):
        ours, theirs = baseline[name].to_numpy("float64"), other[name].to_numpy("float64")
        scored = np.isfinite(ours) & np.isfinite(theirs)
        if scored.any():
            paired[name] = (np.where(scored, ours, np.nan), np.where(scored, theirs, np.nan))
    return paired


def require_score(
    baseline: Evaluation, other: Evaluation, score: str, paired: Mapping[str, Any], reasons: Mapping[str, str]
) -> None:
    """Raise VaelineError unless both have `score`, measured in the same way."""
    if score not in paired:
        raise VaelineError(
            f"no score {score!r} that both {baseline.name} and {other.name} have; there are: {', '.join(paired)}"
        )
    if score in reasons:
        raise VaelineError(f"{score} cannot be compared: {reasons[score]}; evaluate both in the same way")


def left_out(paired: Mapping[str, Any], reasons: Mapping[str, str]) -> list[str]:
    """A sentence for each reason to leave out scores that both have."""
    by_reason: dict[str, list[str]] = {}
    for name in paired:
        if name in reasons:
            by_reason.setdefault(reasons[name], []).append(name)
    return [f"{', '.join(names)} left out: {reason}" for reason, names in by_reason.items()]


def paired_differences(
    baseline: Float[np.ndarray, " images"], other: Float[np.ndarray, " images"]
) -> Float[np.ndarray, " scored"]:
    """other − baseline on the images that both scored."""
    differences = other - baseline
    return differences[np.isfinite(differences)]


def summarize_pairs(
    baseline: Float[np.ndarray, " images"], other: Float[np.ndarray, " images"], score: str
) -> dict[str, Any]:
    """Means, mean difference, its 95 % interval, the share of images improved and a verdict.

    Arrays (images,) may hold NaN where an image was not scored. A verdict is `better` or `worse` if the interval
    leaves out 0, else `no difference shown`, and empty for a score that has no better direction.
    """
    differences = paired_differences(baseline, other)
    low, high = mean_interval(differences)
    better = better_direction(score)
    gains = {"lower": -differences, "higher": differences}.get(better)
    return {
        "images": len(differences),
        "baseline_mean": float(np.nanmean(baseline)),
        "mean": float(np.nanmean(other)),
        "difference": float(differences.mean()),
        "low": low,
        "high": high,
        "improved": float("nan") if gains is None else float((gains > 0).mean()),
        "verdict": verdict(float(differences.mean()), low > 0 or high < 0, better),
    }


def compare_classes(
    baseline: Float[np.ndarray, " images"],
    other: Float[np.ndarray, " images"],
    labels: Integer[np.ndarray, " images"],
    score: str,
) -> pd.DataFrame:
    """`summarize_pairs` by label, with `p_holm` by Holm's correction over the labels, which decides the verdicts.

    Arrays are (images,). The intervals are not corrected, so an interval can leave out 0 although the verdict shows no
    difference.
    """
    present = np.unique(labels[np.isfinite(baseline) & np.isfinite(other)])
    pairs = [(baseline[labels == label], other[labels == label]) for label in present]
    table = pd.DataFrame(
        [{"label": label, **summarize_pairs(*values, score)} for label, values in zip(present, pairs, strict=True)]
    )
    table["p_holm"] = holm([_p_value(paired_differences(*values)) for values in pairs])
    better, shown = better_direction(score), table["p_holm"] < 1 - CONFIDENCE
    table["verdict"] = [verdict(*row, better) for row in zip(table["difference"], shown, strict=True)]
    return table


def mean_interval(differences: Float[np.ndarray, " images"]) -> tuple[float, float]:
    """The 95 % interval of the mean of differences (images,); NaN for a single image."""
    if len(differences) < 2:
        return float("nan"), float("nan")
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(differences) - 1) * stats.sem(differences))
    return float(differences.mean()) - half, float(differences.mean()) + half


def holm(p_values: Sequence[float] | Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """p-values corrected for their number (Holm 1979): compare each with the level for all tests together."""
    values = np.asarray(p_values, "float64")
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def verdict(difference: float, shown: bool, better: str) -> str:
    """The word for a mean difference; `shown` says whether it is significant."""
    if not better:
        return NO_VERDICT
    if not shown:
        return NOT_SHOWN
    return BETTER if (difference < 0) == (better == "lower") else WORSE


def _p_value(differences: Float[np.ndarray, " images"]) -> float:
    """The p-value of Student's paired t-test; 1 for a single image. Equal differences give 1 if they are 0, else 0."""
    if len(differences) < 2:
        return 1.0
    if np.ptp(differences) == 0:
        return float(differences[0] == 0)
    return float(stats.ttest_1samp(differences, 0).pvalue)


def _cells(names: Iterable[str], table: pd.DataFrame) -> list[list[str]]:
    """Rows of text; numbers are rounded to two digits of the interval's half-width."""
    cells = []
    for name, row in zip(names, table.to_dict("records"), strict=True):
        half = (row["high"] - row["low"]) / 2
        decimals = min(6, max(0, 1 - math.floor(math.log10(half)))) if half > 0 else 4
        low, high = (f"{value:+.{decimals}f}" for value in (row["low"], row["high"]))
        improved = "" if math.isnan(row["improved"]) else f"{row['improved']:.1%}"
        means = [f"{value:.{decimals}f}" for value in (row["baseline_mean"], row["mean"])]
        difference = f"{row['difference']:+.{decimals}f}"
        cells.append([name, f"{row['images']:,}", *means, difference, f"{low} to {high}", improved, row["verdict"]])
    return cells
