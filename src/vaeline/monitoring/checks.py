"""What the tests of a window come to, and those of the last windows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vaeline.evaluation.comparison import holm
from vaeline.monitoring.observables import Observed
from vaeline.monitoring.two_sample_tests import Finding, compare
from vaeline.params.monitor import MonitorParams
from vaeline.scores import ELBO_PARTS


@dataclass(frozen=True)
class Judged:
    """A finding, its p-value corrected for the number of tests (Holm), and whether it is a violation."""

    name: str
    statistic: float
    p: float
    p_adjusted: float
    effect: float
    least_effect: float
    violated: bool


def examine(reference: Observed, window: Observed, settings: MonitorParams) -> list[Judged]:
    """All tests of a window; the permutations are those of `monitor.seed`."""
    rng = np.random.default_rng(settings.seed)
    return judge(compare(reference, window, settings.permutations, settings.neighbours, rng), settings)


def judge(findings: Sequence[Finding], settings: MonitorParams) -> list[Judged]:
    """Which findings are violations: those that chance does not explain *and* that are large enough to matter."""
    least = settings.least_effects.model_dump()
    adjusted = holm([finding.p for finding in findings])
    return [
        Judged(
            **vars(finding),
            p_adjusted=float(p),
            least_effect=(least_effect := least["scores" if finding.name in ELBO_PARTS else finding.name]),
            violated=bool(p < settings.alpha and finding.effect >= least_effect),
        )
        for finding, p in zip(findings, adjusted, strict=True)
    ]


def is_violated(tests: Sequence[Judged]) -> bool:
    """Whether any test is."""
    return any(test.violated for test in tests)


def is_triggered(violated: Sequence[bool], k: int, n: int) -> bool:
    """Whether `k` or more of the last `n` windows (the oldest first) were violated."""
    return sum(violated[-n:]) >= k
