"""The checks of a window: pure functions of scores and thresholds, and the trigger over the last windows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vaeline.evaluation.comparison import holm
from vaeline.monitoring.scores import Observed
from vaeline.monitoring.two_sample_tests import TwoSampleResult, compare
from vaeline.params.monitor import MonitorParams
from vaeline.scores import ELBO_PARTS


@dataclass(frozen=True)
class DriftCheck:
    """A two-sample test with its p-value corrected for the number of tests (Holm), and whether it is a violation."""

    name: str
    statistic: float
    p: float
    p_adjusted: float
    effect: float
    least_effect: float
    violated: bool


def check_window(reference: Observed, window: Observed, settings: MonitorParams) -> list[DriftCheck]:
    """All tests of a window; `monitor.seed` draws the permutations."""
    rng = np.random.default_rng(settings.seed)
    return judge(compare(reference, window, settings.permutations, settings.neighbours, rng), settings)


def judge(results: Sequence[TwoSampleResult], settings: MonitorParams) -> list[DriftCheck]:
    """The tests with their verdicts; a violation has a corrected p-value below alpha and at least its least effect."""
    least = settings.least_effects.model_dump()
    adjusted = holm([result.p for result in results])
    return [
        DriftCheck(
            **vars(result),
            p_adjusted=float(p),
            least_effect=(least_effect := least["scores" if result.name in ELBO_PARTS else result.name]),
            violated=bool(p < settings.alpha and result.effect >= least_effect),
        )
        for result, p in zip(results, adjusted, strict=True)
    ]


def is_violated(tests: Sequence[DriftCheck]) -> bool:
    """Whether any test is violated."""
    return any(test.violated for test in tests)


def is_triggered(violated: Sequence[bool], k: int, n: int) -> bool:
    """Whether at least `k` of the last `n` windows, the oldest first, were violated."""
    return sum(violated[-n:]) >= k
