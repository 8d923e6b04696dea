"""Means of per-image scores with standard errors, overall and by class."""

from collections.abc import Mapping, Sequence
from typing import cast

import pandas as pd

from vaeline.evaluation.subject import Measured, Subject
from vaeline.scores import KEYS

DECIMALS = 5


def summarize(scores: pd.DataFrame) -> dict[str, float]:
    """The mean of every score and its standard error (`…_se`), over the images that have the score (others are NaN)."""
    table = scores.drop(columns=list(KEYS), errors="ignore").dropna(axis="columns", how="all")
    errors = table.sem(ddof=1).fillna(0.0).add_suffix("_se")
    return {str(name): round(float(value), DECIMALS) for name, value in pd.concat([table.mean(), errors]).items()}


def summarize_by_class(scores: pd.DataFrame, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """`summarize` for each class that occurs, by the name of the class."""
    return {classes[cast(int, label)]: summarize(rows) for label, rows in scores.groupby("label")}


def nested(table: pd.DataFrame, keys: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """Rows of a table by two of its columns: `{"hflip": {"neg_elbo": {"auroc": …}}}`."""
    first, second = keys
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in table.to_dict("records"):
        metrics = {name: round(float(value), DECIMALS) for name, value in row.items() if name not in keys}
        found.setdefault(row[first], {})[row[second]] = metrics
    return found


def scores_table(subject: Subject, measured: Mapping[str, Measured]) -> pd.DataFrame:
    """A row for each test image: its number, its label, and its scores of all groups."""
    columns = {name: values for group in measured.values() for name, values in group.columns.items()}
    return pd.DataFrame({"image": subject.rows, "label": subject.labels}).assign(**columns)
