"""The expectations of a profile for a batch: bands of averages and class shares are wider, because a batch is small."""

import math
from collections.abc import Mapping

from scipy.stats import norm

from vaeline.validation.expectations import Expected, build_expectations
from vaeline.validation.profile import Band, Profile

BATCH = "batch"


def batch_expectations(
    profile: Profile, rows: int, rows_of_class: Mapping[int, int] | None, false_alarms: float
) -> list[Expected]:
    """The expectations of `profile` for a batch of `rows` images, which is the split `batch`.

    Bands of averages are widened by z standard errors σ/√n, where σ is the profile's deviation of single images. Bands
    of class shares, and the share of images that look alike, are widened by z·√(p(1−p)/n). z divides `false_alarms`
    equally among the bands (Bonferroni): a batch of images that just fit the profile fails with at most this
    probability. Bands of single images do not change. The number of rows is free. A class may be missing if its widened
    share may be 0.

    rows_of_class: the number of images of each label; None for a batch without labels.
    """
    labelled = rows_of_class is not None
    classes = {int(label): count for label, count in (rows_of_class or {}).items() if 0 <= label < profile.classes}
    banded = (
        len(profile.average)
        + (profile.alike is not None)
        + labelled * (2 + sum(len(classes) for _ in profile.class_average))
    )
    z = float(norm.isf(false_alarms / (2 * banded)))
    share = [
        profile.class_share[0] - z * _share_error(profile.class_share[0], rows),
        profile.class_share[1] + z * _share_error(profile.class_share[1], rows),
    ]
    widened = profile.model_copy(
        update={
            "rows": {BATCH: [1, rows]},
            "class_share": share,
            "duplicates": 0.0,
            "leaks": 0.0,
            "alike": None if profile.alike is None else min(1.0, profile.alike + z * _share_error(profile.alike, rows)),
            "alike_leaks": None if profile.alike_leaks is None else 0.0,
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
        for item in build_expectations(widened, [BATCH], labelled)
        if every_class or item.type != "ExpectColumnUniqueValueCountToBeBetween"
    ]


def _widen(band: Band, by: float) -> Band:
    return [band[0] - by, band[1] + by]


def _share_error(share: float, rows: int) -> float:
    """The standard error of a share; the band of a single class may end above 1."""
    share = min(max(share, 0.0), 1.0)
    return math.sqrt(share * (1 - share) / rows)
