"""Tables that compare two states: their inputs, their metrics and their costs."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from vaeline.changes.state import PipelineState
from vaeline.evaluation.comparison import Comparison, Evaluation, compare
from vaeline.outputs import HISTORY, MODEL, PER_CLASS, PREPARED, SCORES, VALIDATION
from vaeline.params.base import flatten
from vaeline.tracking.locks import code, deps, outs

ERROR = "_se"
CRITICAL = 1.959964  # the 97.5 % quantile of N(0, 1)
MEBIBYTE = 2**20
ABSENT = "–"


def changed_params(base: PipelineState, present: PipelineState) -> pd.DataFrame:
    """Parameters that differ, with the columns `parameter`, `base`, `now`."""
    keys = [key for key in {**base.params, **present.params} if base.params.get(key) != present.params.get(key)]
    rows = [(key, base.params.get(key, ABSENT), present.params.get(key, ABSENT)) for key in keys]
    return pd.DataFrame(rows, columns=["parameter", "base", "now"]).astype(str)


def changed_inputs(base: PipelineState, present: PipelineState) -> pd.DataFrame:
    """Data and code of stages that differ, with the columns `path`, `what`, `went into`."""
    stages: dict[tuple[str, str], list[str]] = {}
    for stage in present.stages:
        before, after = deps(base.stages, stage), deps(present.stages, stage)
        own = {**code(base.stages, stage), **code(present.stages, stage)}
        for path in {**before, **after}:
            if before.get(path) != after.get(path):
                stages.setdefault((path, "code" if path in own else "data"), []).append(stage)
    rows = [
        (path, what, ", ".join(users)) for (path, what), users in sorted(stages.items(), key=lambda item: item[0][1])
    ]
    return pd.DataFrame(rows, columns=["path", "what", "went into"]).iloc[::-1]


def paired_comparison(base: PipelineState, present: PipelineState, score: str) -> Comparison | None:
    """The comparison of both models, image by image; None if the scores of one are not available.

    Raises:
        VaelineError: the test images differ, or `score` was measured with different protocols.
    """
    before, after = _evaluation(base), _evaluation(present)
    return None if before is None or after is None else compare([before, after], score)


def changed_metrics(base: PipelineState, present: PipelineState, paired: set[str]) -> pd.DataFrame:
    """Metrics that differ and are not among the `paired` scores, with their difference and its 95 % interval.

    The interval treats both values as independent and uses their standard errors. It is empty if there are none. A
    difference is significant if the interval does not contain 0.
    """
    before, after = (_figures(state.metrics) for state in (base, present))
    rows = []
    for name in after:
        if name.endswith(ERROR) or name.removeprefix("test.") in paired or name not in before:
            continue
        old, new = before[name], after[name]
        if old == new:
            continue
        error_before, error_after = (figures.get(f"{name}{ERROR}") for figures in (before, after))
        known = error_before is not None and error_after is not None
        half = CRITICAL * math.hypot(error_before, error_after) if known else None
        decimals = 4 if not half else max(0, 1 - math.floor(math.log10(half)))
        low_high = "" if half is None else f"{new - old - half:+.{decimals}f} to {new - old + half:+.{decimals}f}"
        significant = "" if half is None else "yes" if abs(new - old) > half else "no"
        rows.append(
            (name, f"{old:.{decimals}f}", f"{new:.{decimals}f}", f"{new - old:+.{decimals}f}", low_high, significant)
        )
    return pd.DataFrame(rows, columns=["figure", "base", "now", "difference", "95 % interval", "significant"])


def costs(base: PipelineState, present: PipelineState, minutes: Mapping[str, float]) -> pd.DataFrame:
    """The costs of both states: MiB of model and data, epochs, and `minutes` of training by the state's name."""
    rows = {
        "model, MiB": [_mebibytes(state, "train", MODEL) for state in (base, present)],
        "prepared data, MiB": [_mebibytes(state, "prepare", PREPARED) for state in (base, present)],
        "training images": [_rows(state) for state in (base, present)],
        "epochs": [_epochs(state) for state in (base, present)],
        "training, minutes": [
            f"{minutes[state.name]:.1f}" if state.name in minutes else ABSENT for state in (base, present)
        ],
    }
    return pd.DataFrame([(name, *values) for name, values in rows.items()], columns=["cost", "base", "now"])


def _evaluation(state: PipelineState) -> Evaluation | None:
    scores, per_class = state.table(SCORES), state.table(PER_CLASS)
    if scores is None:
        return None
    manifest = state.document(PREPARED, "manifest.json")
    test = (
        {key: manifest["splits"]["test"][key] for key in ("images_sha256", "labels_sha256")}
        if manifest
        else {"md5": outs(state.stages, "prepare").get(PREPARED)}
    )
    names = [] if per_class is None else per_class["class"].astype(str)
    labels = np.unique(scores["label"]).tolist()
    dataset = str(state.params["data.dataset"])
    protocol = state.metrics.get("protocol", {})
    return Evaluation(state.name, dataset, test, protocol, scores, dict(zip(labels, names, strict=False)))


def _figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    groups = {name: group for name, group in metrics.items() if name not in ("protocol", "per_class")}
    flat = flatten(groups)
    return {name: value for name, value in flat.items() if isinstance(value, int | float) and math.isfinite(value)}


def _mebibytes(state: PipelineState, stage: str, path: str) -> str:
    sizes = {entry["path"]: entry.get("size") for entry in state.stages.get(stage, {}).get("outs", [])}
    return f"{sizes[path] / MEBIBYTE:.1f}" if sizes.get(path) else ABSENT


def _rows(state: PipelineState) -> str:
    report = state.document(VALIDATION)
    return f"{report['rows']['train']:,}" if report and "train" in report.get("rows", {}) else ABSENT


def _epochs(state: PipelineState) -> str:
    history = state.table(HISTORY)
    return ABSENT if history is None else str(len(history))
