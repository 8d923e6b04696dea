"""The decision about a window: facts, then scores, then checks, and their report."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from matplotlib.figure import Figure
from mlflow import MlflowClient

from vaeline.data.prepared import Prepared
from vaeline.monitoring.checks import check_window
from vaeline.monitoring.facts import gather_facts
from vaeline.monitoring.figures import draw_figures
from vaeline.monitoring.report import build_verdict, outcome
from vaeline.monitoring.scores import take_scores
from vaeline.monitoring.window import Window
from vaeline.params.whole import Params
from vaeline.registry.lookup import RegisteredVersion


@dataclass(frozen=True)
class WindowReport:
    """The verdict on a window in plain values, and its figures by title."""

    verdict: dict[str, Any]
    figures: Mapping[str, Figure]

    @property
    def word(self) -> str:
        """quiet, violated or triggered."""
        return outcome(self.verdict)


def look_at(
    client: MlflowClient, champion: RegisteredVersion, prepared: Prepared, window: Window, params: Params
) -> WindowReport:
    """Compare a window with the reference by the champion's scores.

    Raises:
        VaelineError: the champion cannot be loaded, or takes images of another size.
    """
    settings = params.monitor
    facts = gather_facts(client, champion, prepared, window, settings)
    scores = take_scores(facts, settings)
    checks = check_window(scores.reference, scores.window, settings)
    verdict = build_verdict(facts, checks, settings, datetime.now(UTC))
    return WindowReport(verdict, draw_figures(facts, scores, checks, settings.alpha))
