"""The thresholds of a profile as expectations of the table of image statistics."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vaeline.data.label_noise import judged_rows
from vaeline.data.statistics import JUDGED, Family
from vaeline.validation.profile import Profile

MOST_LISTED_CLASSES = 1000
ABOUT_LABELS = {"label", "class_share", "doubt"}
DOUBT_ERRORS = 4  # in standard errors


@dataclass(frozen=True)
class Expected:
    """One expectation: its name in reports, its type in Great Expectations, and its arguments.

    where: a column and a value; the expectation is then only about rows with this value.
    note: a column that says what is wrong with an image that fails.
    """

    name: str
    type: str
    arguments: dict[str, Any]
    where: tuple[str, Any] | None = None
    note: str | None = None

    @property
    def about_labels(self) -> bool:
        """Whether the expectation needs labels."""
        return self.arguments.get("column") in ABOUT_LABELS or (self.where or ("",))[0] in ABOUT_LABELS


def columns_of(family: Family) -> tuple[str, ...]:
    """The columns that a validated table has: the statistics of images, and `class_share`."""
    return (*family.columns, "class_share")


def build_expectations(profile: Profile, rows: Mapping[str, int], labelled: bool = True) -> list[Expected]:
    """The expectations of `profile` for a table with so many rows in each split: all, or those that need no labels."""
    values, bands = "ExpectColumnValuesToBeInSet", "ExpectColumnValuesToBeBetween"
    columns = columns_of(profile.family)
    expected = [
        Expected("the table has its columns", "ExpectTableColumnsToMatchSet", {"column_set": list(columns)}),
        *(
            Expected(f"{column} is never null", "ExpectColumnValuesToNotBeNull", {"column": column})
            for column in columns
            if column not in (*profile.family.of_source, *JUDGED)
        ),
        Expected("image_id is unique", "ExpectColumnValuesToBeUnique", {"column": "image_id"}),
        Expected("split is known", values, {"column": "split", "value_set": list(profile.rows)}),
        *(
            Expected(
                f"rows in {split}",
                "ExpectTableRowCountToBeBetween",
                _between(profile.rows.get(split, [0, 0])),
                where=("split", split),
            )
            for split in rows
        ),
        Expected("height", values, {"column": "height", "value_set": [profile.height]}),
        Expected("width", values, {"column": "width", "value_set": [profile.width]}),
        Expected("channels", values, {"column": "channels", "value_set": [profile.channels]}),
        Expected("dtype", values, {"column": "dtype", "value_set": [profile.dtype]}),
        Expected("no pixel is NaN", values, {"column": "nulls", "value_set": [0]}),
        _known_labels(profile.classes),
        Expected(
            "every label occurs",
            "ExpectColumnUniqueValueCountToBeBetween",
            {"column": "label", "min_value": profile.classes, "max_value": profile.classes},
        ),
        *(
            Expected(
                f"the classes of {split} occur",
                "ExpectColumnUniqueValueCountToBeBetween",
                {"column": "label", **_between((profile.split_classes[split], profile.classes))},
                where=("split", split),
            )
            for split in rows
            if profile.split_classes and split in profile.split_classes
        ),
        Expected("class balance", bands, {"column": "class_share", **_between(profile.class_share)}),
        *(
            Expected(
                f"share of class {label}",
                bands,
                {"column": "class_share", **_between(band)},
                where=("label", label),
            )
            for label, band in (profile.class_shares or {}).items()
        ),
        *_doubts(profile, rows),
        Expected("no exact duplicates", bands, {"column": "copies", "max_value": 1, "mostly": 1 - profile.duplicates}),
        Expected(
            "no leakage between splits", values, {"column": "leaks", "value_set": [0], "mostly": 1 - profile.leaks}
        ),
        *_alike(profile),
        *_dead(profile),
        *(
            Expected(f"{column} of every image", bands, {"column": column, **_between(band)})
            for column, band in profile.every_image.items()
        ),
        *(
            Expected(f"average {column}", "ExpectColumnMeanToBeBetween", {"column": column, **_between(band)})
            for column, band in profile.average.items()
        ),
        *(
            Expected(
                f"average {column} of class {label}",
                "ExpectColumnMeanToBeBetween",
                {"column": column, **_between(band)},
                where=("label", label),
            )
            for column, by_class in profile.class_average.items()
            for label, band in by_class.items()
        ),
    ]
    return [item for item in expected if labelled or not item.about_labels]


def _known_labels(classes: int) -> Expected:
    """Labels are whole numbers, so that a band says the same as a set; SQLite takes no set of 65,535 values."""
    if classes <= MOST_LISTED_CLASSES:
        about = {"column": "label", "value_set": list(range(classes))}
        return Expected("label is known", "ExpectColumnValuesToBeInSet", about)
    about = {"column": "label", "min_value": 0, "max_value": classes - 1}
    return Expected("label is known", "ExpectColumnValuesToBeBetween", about)


def _alike(profile: Profile) -> list[Expected]:
    """The expectations of images that look alike, where the profile asks for them."""
    if profile.alike is None or profile.alike_leaks is None:
        return []
    copies = {"column": "alike", "max_value": 1, "mostly": 1 - profile.alike}
    leaks = {"column": "alike_leaks", "value_set": [0], "mostly": 1 - profile.alike_leaks}
    return [
        Expected("no images that look alike", "ExpectColumnValuesToBeBetween", copies),
        Expected("no images that look alike in two splits", "ExpectColumnValuesToBeInSet", leaks),
    ]


def _dead(profile: Profile) -> list[Expected]:
    if profile.dead is None:
        return []
    most = {"column": "dead", "max_value": profile.dead}
    return [Expected("no dead pixels", "ExpectColumnValuesToBeBetween", most, note="dead_at")]


def _doubts(profile: Profile, rows: Mapping[str, int]) -> list[Expected]:
    """The expectations of doubtful labels, with room of four standard errors for the labels of each split."""
    judged = judged_rows(rows)
    total = sum(judged.values())
    if not profile.doubts or not total:
        return []
    sizes = sorted(profile.doubts)
    share = float(np.interp(math.log(total), np.log(sizes), [profile.doubts[size] for size in sizes]))
    return [
        Expected(
            f"plausible labels in {split}",
            "ExpectColumnValuesToBeBetween",
            {"column": "doubt", "max_value": 0.0, "mostly": max(0.0, 1 - share - _room(share, count))},
            where=("split", split),
            note="likely_label",
        )
        for split, count in judged.items()
        if count
    ]


def _room(share: float, rows: int) -> float:
    return DOUBT_ERRORS * math.sqrt(max(share * (1 - share), 1 / rows) / rows)


def _between(band: Sequence[float]) -> dict[str, float]:
    return {"min_value": band[0], "max_value": band[1]}
