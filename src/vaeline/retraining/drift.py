"""Read the newest verdict of `vaeline monitor` on a champion, from the store or from this folder."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vaeline.errors import VaelineError
from vaeline.monitoring.record import VERDICT, window_runs
from vaeline.registry.versions import artifact_copy
from vaeline.reports import MONITOR

if TYPE_CHECKING:
    from mlflow import MlflowClient

NEEDED = ("champion", "created", "triggered")


def newest_verdict(client: "MlflowClient", model_sha256: str) -> dict[str, Any] | None:
    """The verdict on the last window for the champion with this digest; None if there is none.

    Raises:
        VaelineError: a verdict cannot be read.
    """
    found = [_parse(MONITOR.read_text(encoding="utf-8"), str(MONITOR))] if MONITOR.is_file() else []
    for run in window_runs(client, model_sha256, 1):
        with artifact_copy(client, run.info.run_id, VERDICT) as file:
            if file is not None:
                found.append(_parse(file.read_text(encoding="utf-8"), f"the run {run.info.run_name}"))
    about = [verdict for verdict in found if verdict["champion"]["digest"] == model_sha256]
    return max(about, key=lambda verdict: verdict["created"], default=None)


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        verdict = json.loads(text)
    except ValueError as error:
        raise VaelineError(f"{where}: not a verdict of `vaeline monitor`: {error}") from None
    missing = [key for key in NEEDED if not isinstance(verdict, Mapping) or key not in verdict]
    if missing:
        raise VaelineError(f"{where}: not a verdict of `vaeline monitor`: {', '.join(missing)} is missing")
    return dict(verdict)
