"""Find the runs to compare, read their evaluations from their artifacts, and log the comparison to one of them."""

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run

from vaeline.errors import VaelineError
from vaeline.evaluation.comparison import Evaluation
from vaeline.outputs import METRICS, PER_CLASS, SCORES
from vaeline.scores import KEYS
from vaeline.tracking.locks import is_current
from vaeline.tracking.runs import name_of, runs_called, search_all
from vaeline.tracking.store import TRAINING_VIEW, store_address
from vaeline.tracking.sync import NOT_IN_NAMES, sync_run

ON_DISK = (".", "local")
EVALUATION = "evaluation"
COMPARISON = "comparison"
NAMES_SHOWN = 8


def resolve_run(client: MlflowClient, text: str) -> tuple[Run, str]:
    """The run that `text` names. If several finished runs have this name, the newest is taken and a sentence says so.

    `text` is a run's name, its id, at least six characters of its id, or `.` for the model on disk. The run of the
    model on disk is first brought up to date.

    Raises:
        VaelineError: no run or several runs fit, no run of this name is finished, or the evaluation on disk belongs to
            another model.
    """
    if text in ON_DISK:
        return _run_on_disk(client), ""
    called = runs_called(client, text)
    if called and called[0].info.run_name == text:
        return _newest_finished(called, text)
    if len(called) > 1:
        fitting = ", ".join(f"{run.info.run_id} ({run.info.run_name})" for run in called[:NAMES_SHOWN])
        raise VaelineError(f"{len(called)} runs have an id that begins with {text!r}: {fitting}; choose one of them")
    if not called:
        newest = search_all(client, "attributes.status = 'FINISHED'", NAMES_SHOWN)
        known = ", ".join(dict.fromkeys(map(name_of, newest))) or "none"
        raise VaelineError(f"there is no run {text!r} in {store_address()}; the newest finished runs are: {known}")
    return called[0], ""


def read_evaluations(client: MlflowClient, runs: Sequence[Run]) -> list[Evaluation]:
    """The evaluation of every run. Runs of the same name get names that differ.

    Raises:
        VaelineError: a run is given twice, or its evaluation cannot be read.
    """
    for run_id, times in Counter(run.info.run_id for run in runs).items():
        if times > 1:
            raise VaelineError(f"the run {run_id} was given {times} times; a comparison needs different runs")
    names = Counter(map(name_of, runs))
    return [
        read_evaluation(client, run, name_of(run) if names[name_of(run)] == 1 else _name_with_id(run)) for run in runs
    ]


def read_evaluation(client: MlflowClient, run: Run, name: str) -> Evaluation:
    """The evaluation of a run from its artifacts. The names of the classes come from its table by class, if it has one.

    Raises:
        VaelineError: the run has no evaluation, its evaluation has no protocol, or it cannot be read.
    """
    present = {item.path for item in client.list_artifacts(run.info.run_id, EVALUATION)}
    wanted = [f"{EVALUATION}/{Path(path).name}" for path in (SCORES, METRICS)]
    named = [path for path in [f"{EVALUATION}/{Path(PER_CLASS).name}"] if path in present]
    if missing := [path for path in wanted if path not in present]:
        raise VaelineError(
            f"the run {name} has no artifact {' and no '.join(missing)}; `dvc repro` with its parameters evaluates it, "
            "`vaeline track sync` adds the files of the model on disk"
        )
    with tempfile.TemporaryDirectory() as scratch:
        local = {path: Path(client.download_artifacts(run.info.run_id, path, scratch)) for path in [*wanted, *named]}
        try:
            scores = pd.read_parquet(local[wanted[0]])
            protocol = json.loads(local[wanted[1]].read_text(encoding="utf-8"))["protocol"]
            classes = pd.read_csv(local[named[0]], dtype=str)["class"] if named else []
            labels = np.unique(scores[list(KEYS)]["label"]).tolist()
        except KeyError as error:
            raise VaelineError(
                f"the evaluation of the run {name} has no {error.args[0]}; evaluate it again: `dvc repro evaluate`"
            ) from None
        except ValueError as error:
            raise VaelineError(f"the evaluation of the run {name} cannot be read ({error})") from None
    return Evaluation(
        name=name,
        dataset=run.data.tags.get("vaeline.dataset", "an unknown data set"),
        test_data=_test_data(run),
        protocol=protocol,
        scores=scores,
        classes=dict(zip(labels, classes, strict=False)),
    )


def split_digests(run: Run) -> dict[str, dict[str, str]]:
    """SHA-256 of images and labels by split of the run's data set; empty if the run has no data set."""
    return {
        name: {key: split.get(key, "") for key in ("images_sha256", "labels_sha256")}
        for name, split in split_profile(run).items()
    }


def split_profile(run: Run) -> dict[str, dict[str, Any]]:
    """The rows and digests that the run records by split of its data set; empty if the run has no data set."""
    for item in run.inputs.dataset_inputs if run.inputs else []:
        splits = json.loads(item.dataset.profile or "{}")
        if "test" in splits:
            return splits
    return {}


def dataset_digests(run: Run) -> set[str]:
    """DVC's md5 of the run's prepared data; empty if the run has no data set."""
    return {item.dataset.digest for item in run.inputs.dataset_inputs} if run.inputs else set()


def attach_comparison(client: MlflowClient, runs: Sequence[Run], files: Sequence[Path]) -> tuple[Run, str]:
    """Log `files` to the newest of `runs`, in a folder named after the first run. Return the newest run and the folder.

    A second call replaces the files.
    """
    newest = max(runs, key=lambda run: run.info.start_time)
    folder = f"{COMPARISON}/{NOT_IN_NAMES.sub('_', name_of(runs[0]))}"
    for file in files:
        client.log_artifact(newest.info.run_id, str(file), folder)
    return newest, folder


def comparison_page(runs: Sequence[Run], server: str) -> str:
    """The address of MLflow's page that compares these runs."""
    ids = json.dumps([run.info.run_id for run in runs], separators=(",", ":"))
    experiments = json.dumps(sorted({run.info.experiment_id for run in runs}), separators=(",", ":"))
    return f"{server}/#/compare-runs?runs={quote(ids)}&experiments={quote(experiments)}&{TRAINING_VIEW}"


def _run_on_disk(client: MlflowClient) -> Run:
    if not is_current("evaluate"):
        raise VaelineError(f"{SCORES} does not belong to the model on disk; `dvc repro evaluate` makes it")
    return sync_run(client)


def _newest_finished(runs: list[Run], name: str) -> tuple[Run, str]:
    finished = [run for run in runs if run.info.status == "FINISHED"]
    if not finished:
        raise VaelineError(f"the run {name} is {runs[0].info.status}; only a finished run has an evaluation")
    newest = finished[0]
    choice = f"{len(finished)} finished runs are named {name}; this is the newest, {newest.info.run_id}"
    return newest, choice if len(finished) > 1 else ""


def _name_with_id(run: Run) -> str:
    return f"{name_of(run)} {run.info.run_id[:8]}"


def _test_data(run: Run) -> dict[str, Any]:
    """Digests of the test images and labels from the run's data set."""
    if test := split_digests(run).get("test"):
        return test
    raise VaelineError(f"the run {run.info.run_name} does not record its test images; run `vaeline track sync`")
