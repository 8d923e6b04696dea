"""What holds of every group of metrics."""

import math
from collections.abc import Iterable

from vaeline.evaluation.subject import Measured
from vaeline.params.base import flatten


def check(measured: Measured, without_error: Iterable[str] = ()) -> None:
    """All metrics are finite, all but those `without_error` have a standard error, and there is a protocol."""
    metrics = flatten(measured.metrics)
    assert all(math.isfinite(value) for value in metrics.values())
    names = {name for name in metrics if not name.endswith("_se")}
    assert {name for name in names if f"{name}_se" not in metrics} == set(without_error)
    assert measured.protocol
