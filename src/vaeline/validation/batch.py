"""The expectations of a profile for few images: bands of averages and of shares are wider by chance."""

import math
from collections.abc import Mapping

from scipy.stats import norm

from vaeline.validation.expectations import Expected, build_expectations
from vaeline.validation.profile import Band, Profile

BATCH, ALL = "batch", "all"
FALSE_ALARMS = 0.01
"""The highest probability that images without splits fail a profile that they just fit."""


def split_expectations(
    profile: Profile, rows: Mapping[str, int], rows_of_class: Mapping[int, int] | None
) -> list[Expected]:
    """The expectations of `profile` for splits with so many rows.

    Images without splits, the split `all`, can be any part of the data, so that their bands are widened as those of a
    batch. Other splits have as many rows as the profile says.

    rows_of_class: the number of images of each label; None for images without labels.
    """
    if set(rows) != {ALL}:
        return build_expectations(profile, rows, rows_of_class is not None)
    return few_expectations(profile, ALL, rows[ALL], rows_of_class, FALSE_ALARMS)


def batch_expectations(
    profile: Profile, rows: int, rows_of_class: Mapping[int, int] | None, false_alarms: float
) -> list[Expected]:
    """The expectations of `profile` for a batch, the split `batch`: as `few_expectations`, with any number of rows.

    Known images were dropped, so that none is there twice.
    """
    free = {"rows": {**profile.rows, BATCH: [1, rows]}, "duplicates": 0.0, "leaks": 0.0}
    if profile.alike_leaks is not None:
        free["alike_leaks"] = 0.0
    return few_expectations(profile.model_copy(update=free), BATCH, rows, rows_of_class, false_alarms)


def few_expectations(
    profile: Profile, split: str, rows: int, rows_of_class: Mapping[int, int] | None, false_alarms: float
) -> list[Expected]:
    """The expectations of `profile` for a split of `rows` images.

    Bands of averages are widened by z standard errors σ/√n, where σ is the profile's deviation of single images. Bands
    of class shares, and the shares of images that are equal or look alike, are widened by z·√(p(1−p)/n). z divides
    `false_alarms` equally among the bands (Bonferroni): images that just fit the profile fail with at most this
    probability. Bands of single images do not change. A class may be missing if its widened share may be 0.

    rows_of_class: the number of images of each label; None for images without labels.
    """
    labelled = rows_of_class is not None
    classes = {int(label): count for label, count in (rows_of_class or {}).items() if 0 <= label < profile.classes}
    class_shares = profile.class_shares or {}
    banded = (
        len(profile.average) + 2 + labelled * (2 + len(class_shares) + sum(len(classes) for _ in profile.class_average))
    )
    z = float(norm.isf(false_alarms / (2 * banded)))
    share = _widen_share(profile.class_share, z, rows)
    widened = profile.model_copy(
        update={
            "rows": {split: profile.rows.get(split, [0, 0])},
            "split_classes": None,
            "class_share": share,
            "class_shares": {label: _widen_share(class_shares[label], z, rows) for label in classes if class_shares},
            "duplicates": _more(profile.duplicates, z, rows),
            "alike": None if profile.alike is None else _more(profile.alike, z, rows),
            "average": {
                column: _widen(band, z * profile.deviation[column] / math.sqrt(rows))
                for column, band in profile.average.items()
            },
            "class_average": {
                column: {
                    label: _widen(bands[label], z * profile.deviation[column] / math.sqrt(count))
                    for label, count in sorted(classes.items())
                }
                for column, bands in profile.class_average.items()
            },
        }
    )
    every_class = share[0] > 0
    return [
        item
        for item in build_expectations(widened, {split: rows}, labelled)
        if every_class or item.type != "ExpectColumnUniqueValueCountToBeBetween"
    ]


def _widen(band: Band, by: float) -> Band:
    return [band[0] - by, band[1] + by]


def _widen_share(band: Band, z: float, rows: int) -> Band:
    return [band[0] - z * _share_error(band[0], rows), band[1] + z * _share_error(band[1], rows)]


def _more(share: float, z: float, rows: int) -> float:
    """A limit of a share with room for chance; 0 stays 0."""
    return min(1.0, share + z * _share_error(share, rows))


def _share_error(share: float, rows: int) -> float:
    """The standard error of a share; the band of a single class may end above 1."""
    share = min(max(share, 0.0), 1.0)
    return math.sqrt(share * (1 - share) / rows)
