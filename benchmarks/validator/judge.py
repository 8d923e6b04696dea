"""Which expectations a table of statistics fails, without Great Expectations, which needs seconds for each table."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from validator.sets import Splits

from vaeline.data.statistics import image_statistics
from vaeline.validation.batch import split_expectations
from vaeline.validation.expectations import Expected
from vaeline.validation.profile import Profile, class_shares


def failed(splits: Splits, profile: Profile, labelled: bool = True) -> list[str]:
    """The names of the expectations that splits fail, in the order of the profile's expectations."""
    rows = {name: len(split.labels) for name, split in sorted(splits.items())}
    labels, counts = np.unique(np.concatenate([split.labels for split in splits.values()]), return_counts=True)
    of_class = dict(zip(labels.tolist(), counts.tolist(), strict=True)) if labelled else None
    table = image_statistics(splits, profile.family)
    return misses(table, split_expectations(profile, rows, of_class))


def misses(table: pd.DataFrame, expected: Sequence[Expected]) -> list[str]:
    """The names of the expectations that do not hold for a table of `image_statistics`."""
    whole = table.assign(class_share=class_shares(table))
    return [item.name for item in expected if not _holds(whole, item)]


def _holds(table: pd.DataFrame, item: Expected) -> bool:
    rows = table if item.where is None else table[table[item.where[0]] == item.where[1]]
    whole = {
        "ExpectTableColumnsToMatchSet": lambda: set(rows.columns) == set(item.arguments["column_set"]),
        "ExpectTableRowCountToBeBetween": lambda: _between(len(rows), item.arguments),
    }
    if item.type in whole:
        return whole[item.type]()
    column = rows[item.arguments["column"]]
    known, low, high = (
        column.dropna(),
        item.arguments.get("min_value", -np.inf),
        item.arguments.get("max_value", np.inf),
    )
    least = item.arguments.get("mostly", 1.0)
    return {
        "ExpectColumnValuesToNotBeNull": lambda: not column.isna().any(),
        "ExpectColumnValuesToBeUnique": lambda: not column.duplicated().any(),
        "ExpectColumnUniqueValueCountToBeBetween": lambda: _between(column.nunique(), item.arguments),
        "ExpectColumnMeanToBeBetween": lambda: len(known) > 0 and _between(known.mean(), item.arguments),
        "ExpectColumnValuesToBeInSet": lambda: _mostly(known.isin(item.arguments.get("value_set", [])), least),
        "ExpectColumnValuesToBeBetween": lambda: _mostly(known.between(low, high), least),
    }[item.type]()


def _mostly(good: pd.Series, least: float) -> bool:
    return not len(good) or float(good.mean()) >= least


def _between(value: float, arguments: Mapping[str, float]) -> bool:
    return arguments["min_value"] <= value <= arguments["max_value"]
