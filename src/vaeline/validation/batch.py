"""What must hold of a batch: of single images what a profile asks, of averages and shares the same, less chance."""

import math
from collections.abc import Mapping

from scipy.stats import norm

from vaeline.validation.expectations import Expected, build_expectations
from vaeline.validation.profile import Band, Profile

BATCH = "batch"


def batch_expectations(
    profile: Profile, rows: int, rows_of_class: Mapping[int, int] | None, false_alarms: float
) -> list[Expected]:
    """The expectations of `profile` for a batch of `rows` images, the split `batch`; without labels if those are None.

    Bands of averages widen by z standard errors, σ/√n with the profile's deviation of single images, and those of class
    shares by z·√(p(1−p)/n), where z shares `false_alarms` equally (Bonferroni): with that chance at most, a batch drawn
    from images on the edge of a band fails one of them. Bands of single images stay. The number of rows is free, and a
    class may lack where its share may be 0.
    """
    labelled = rows_of_class is not None
    classes = {int(label): count for label, count in (rows_of_class or {}).items() if 0 <= label < profile.classes}
    banded = len(profile.average) + labelled * (2 + sum(len(classes) for _ in profile.class_average))
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
    return math.sqrt(share * (1 - share) / rows)
