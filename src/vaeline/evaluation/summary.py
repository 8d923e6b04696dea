"""Per-image scores summed up: means with standard errors, overall and by class."""

from collections.abc import Sequence

import pandas as pd

SUMMED = ("neg_elbo", "reconstruction", "kl", "nll", "nll_bound", "mse")
DECIMALS = 5


def summarize(scores: pd.DataFrame) -> dict[str, float]:
    """Mean of every score and its standard error (`…_se`)."""
    figures = {name: scores[name].mean() for name in SUMMED}
    errors = {f"{name}_se": scores[name].sem(ddof=1) if len(scores) > 1 else 0.0 for name in SUMMED}
    return {name: round(float(value), DECIMALS) for name, value in (figures | errors).items()}


def summarize_by_class(scores: pd.DataFrame, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """`summarize` of each class that occurs, by its name."""
    return {classes[label]: summarize(rows) for label, rows in scores.groupby("label")}
