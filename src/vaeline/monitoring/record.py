"""The verdicts, kept in the MLflow experiment `monitoring`: one run for each window of a champion.

The trigger reads these runs, so it gives the same answer on every machine with the same store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from vaeline.params.base import flatten
from vaeline.reports import MONITOR
from vaeline.tracking.runs import find_run, log_metrics, log_params, set_tags, with_tags
from vaeline.tracking.store import MONITORING, named_experiment

CHAMPION_TAG, WINDOW_TAG = "vaeline.champion_digest", "vaeline.window_sha256"
SOURCE_TAG, CREATED_TAG, VIOLATED_TAG = "vaeline.window_source", "vaeline.monitored_at", "vaeline.violated"
TRIGGERED_TAG = "vaeline.triggered"
VERDICT, PAGE = MONITOR.name, "monitor.html"
MOST = 1000
DIGITS = 8


@dataclass(frozen=True)
class PastWindow:
    """An earlier window of the champion: its digest, its source, its time, and whether it was violated."""

    sha256: str
    source: str
    created: str
    violated: bool


def window_runs(client: MlflowClient, champion_sha256: str, most: int = MOST) -> list[Run]:
    """The finished runs of a champion's windows, the newest first, at most `most`."""
    found = client.get_experiment_by_name(MONITORING)
    if found is None:
        return []
    wanted = f"{with_tags({CHAMPION_TAG: champion_sha256})} and attributes.status = 'FINISHED'"
    newest_first = ["attributes.start_time DESC"]
    return client.search_runs([found.experiment_id], wanted, max_results=most, order_by=newest_first)


def read_history(client: MlflowClient, champion_sha256: str) -> list[PastWindow]:
    """The windows of a champion, the oldest first; a window that was tested again keeps its place."""
    return [_past(run) for run in reversed(window_runs(client, champion_sha256))]


def with_window(history: Sequence[PastWindow], window: PastWindow) -> list[PastWindow]:
    """The history with this window, in its earlier place or as the newest."""
    if window.sha256 in {past.sha256 for past in history}:
        return [window if past.sha256 == window.sha256 else past for past in history]
    return [*history, window]


def record(client: MlflowClient, verdict: Mapping[str, Any], params: Mapping[str, Any], files: Sequence[Path]) -> str:
    """Write a verdict and its files to the run of its window, which is made if there is none; return the run's id.

    The run is finished last, and only finished runs are in the history.
    """
    champion, window = verdict["champion"], verdict["window"]
    name = f"{Path(window['source']).stem[:60]}-{window['sha256'][:DIGITS]}"
    known_by = {CHAMPION_TAG: champion["digest"], WINDOW_TAG: window["sha256"]}
    experiment = named_experiment(client, MONITORING)
    run = find_run(client, experiment, known_by) or client.create_run(experiment, tags=known_by, run_name=name)
    tags = {
        SOURCE_TAG: window["source"][:500],
        CREATED_TAG: verdict["created"],
        "vaeline.champion": f"{champion['name']}/{champion['version']}",
        "vaeline.dataset": verdict["dataset"],
        VIOLATED_TAG: _word(verdict["violated"]),
        TRIGGERED_TAG: _word(verdict["triggered"]),
    }
    set_tags(client, run.info.run_id, tags)
    log_params(client, run, flatten(dict(params)))
    log_metrics(client, run, _metrics(verdict))
    for file in files:
        client.log_artifact(run.info.run_id, str(file))
    client.set_terminated(run.info.run_id)
    return run.info.run_id


def plain_history(history: Sequence[PastWindow]) -> list[dict[str, Any]]:
    """The history as plain values."""
    return [asdict(past) for past in history]


def _metrics(verdict: Mapping[str, Any]) -> dict[str, float]:
    metrics = {f"{test['name']}/{key}": test[key] for test in verdict["tests"] for key in ("effect", "p_adjusted")}
    return metrics | {
        "rows": float(verdict["window"]["rows"]),
        "violated": float(verdict["violated"]),
        "triggered": float(verdict["triggered"]),
    }


def _past(run: Run) -> PastWindow:
    tags = run.data.tags
    return PastWindow(tags[WINDOW_TAG], tags[SOURCE_TAG], tags[CREATED_TAG], tags[VIOLATED_TAG] == _word(True))


def _word(value: bool) -> str:
    return str(bool(value)).lower()
