"""The verdict on a window in plain values, in a word and in a sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from vaeline.monitoring.decision import Judged, is_triggered, is_violated
from vaeline.monitoring.record import Past, plain_history, with_window
from vaeline.monitoring.two_sample_tests import TITLES
from vaeline.monitoring.window import ReferenceImages, Window
from vaeline.params.monitor import MonitorParams
from vaeline.registry.lookup import RegisteredVersion

MONITOR_VERSION = 1
QUIET, VIOLATED, TRIGGERED = "quiet", "violated", "triggered"


def build_verdict(
    champion: RegisteredVersion,
    dataset: str,
    window: Window,
    reference: ReferenceImages,
    tests: Sequence[Judged],
    history: Sequence[Past],
    settings: MonitorParams,
    now: datetime,
) -> dict[str, Any]:
    """What `reports/monitor.json` says; `history` are the champion's windows so far, the oldest first."""
    violated, created = is_violated(tests), now.isoformat(timespec="seconds")
    seen = with_window(history, Past(window.sha256, window.source, created, violated))[-settings.n :]
    return {
        "vaeline.monitor_version": MONITOR_VERSION,
        "created": created,
        "dataset": dataset,
        "champion": {
            "name": champion.name,
            "version": champion.number,
            "digest": champion.stored.model_sha256,
        },
        "window": {
            "source": window.source,
            "rows": len(window.images),
            "tested_rows": min(len(window.images), settings.window_rows),
            "sha256": window.sha256,
            "labelled": window.labels is not None,
        },
        "reference": {
            "rows": min(len(reference.images), settings.reference_rows),
            "champions_own": reference.own,
        },
        "tests": [asdict(test) for test in tests],
        "violated": violated,
        "history": plain_history(seen),
        "triggered": is_triggered([past.violated for past in seen], settings.k, settings.n),
        "policy": settings.model_dump(),
    }


def outcome(verdict: Mapping[str, Any]) -> str:
    """The verdict in a word: quiet, violated or triggered; a trigger is one whatever this window is like."""
    return TRIGGERED if verdict["triggered"] else VIOLATED if verdict["violated"] else QUIET


def sentence(verdict: Mapping[str, Any]) -> str:
    """The verdict in a sentence."""
    policy, seen = verdict["policy"], verdict["history"]
    names = [TITLES[test["name"]] for test in verdict["tests"] if test["violated"]]
    this = f"this window differs from the reference ({', '.join(names)})" if names else "this window is as usual"
    count = sum(past["violated"] for past in seen)
    last = f"{count} of the last {len(seen)} windows of the champion violated, {policy['k']} of {policy['n']} trigger"
    return f"{this}; {last}"
