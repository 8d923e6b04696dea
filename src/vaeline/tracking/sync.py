"""Bring a run in MLflow up to date with the files. This can be repeated, and rebuilds a run in an empty store."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from vaeline.artifacts import digest
from vaeline.errors import VaelineError
from vaeline.outputs import HEAT_MAPS, HISTORY, METRICS, MODEL, PREPARED, REFERENCE, VALIDATION
from vaeline.own_files import read_json, read_table
from vaeline.params.base import flatten
from vaeline.stages import Stage, read_stages
from vaeline.tracking.lineage import code_tags, data_tags, declared_params, image_tags, read_validation
from vaeline.tracking.locks import LOCK_FILE, data_md5, is_current, lock_digest, lock_tags, locked_stage, read_lock
from vaeline.tracking.programs import program_tags
from vaeline.tracking.runs import (
    DIGEST_TAG,
    FILE_TAG,
    KEY_TAG,
    RESTORED,
    close_stale_runs,
    find_run,
    log_dataset,
    log_files,
    log_history,
    log_metrics,
    log_params,
    run_name,
    set_tags,
)
from vaeline.tracking.store import STORE_ERRORS, experiment_id, open_store, unreachable

MANIFEST = Path(PREPARED) / "manifest.json"
LOCKS = "locks"
LOADED_WITH_A_MODEL = (REFERENCE, HEAT_MAPS)
DATA_DOCS = Path("reports/validation/docs")
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_. -]")


def record(stage: str) -> None:
    """Bring the present model's run up to date after `stage` wrote its outputs. If the store fails, only print that."""
    try:
        sync_run(open_store(), just_written=stage)
    except STORE_ERRORS as error:
        print(f"{stage}: {unreachable(error)}. `vaeline track sync` adds what is missing", flush=True)


def sync_run(client: MlflowClient, just_written: str = "") -> Run:
    """Bring the run of the model on disk up to date with all files that belong to it, and return the run.

    A run that the store does not have is rebuilt from the files and tagged `vaeline.restored`. A file belongs to the
    model if `dvc.lock` says so, or if the stage `just_written` has just written it.

    Raises:
        VaelineError: there is no trained model.
    """
    if not (Path(MODEL).is_file() and MANIFEST.is_file()):
        raise VaelineError(f"no trained model in {MODEL}; train one with `dvc repro`")
    manifest = read_json(MANIFEST)
    experiment = experiment_id(client, manifest["name"])
    close_stale_runs(client, experiment)
    run = _find_or_restore(client, experiment)
    run_id = run.info.run_id
    set_tags(client, run_id, data_tags(manifest["dataset"], read_validation()) | image_tags(manifest["image"]))
    if digest(Path(MODEL), "md5") in {entry["md5"] for entry in locked_stage("train").get("outs", [])}:
        log_lock(client, run_id, LOCK_FILE.read_bytes())
    log_params(client, run, declared_params())
    log_dataset(client, run, manifest["name"], data_md5(), manifest["splits"])
    log_history(client, run_id, read_table(Path(HISTORY)).to_dict("records"))
    _log_validation(client, run_id)
    for name, stage in read_stages().items():
        about_the_model = MODEL in stage.deps and stage.run_folder
        if about_the_model and (just_written == name or is_current(name)):
            _log_outputs(client, run, stage)
    return client.get_run(run_id)


def _log_outputs(client: MlflowClient, run: Run, stage: Stage) -> None:
    """Log the outputs of a stage that was run with the model; a folder as the run's folder itself."""
    if METRICS in stage.outs:
        log_metrics(client, run, grouped_metrics(read_json(Path(METRICS))))
    for path in stage.outs:
        log_files(client, run.info.run_id, Path(path), stage.run_folder)
        if path in LOADED_WITH_A_MODEL:
            record_file(client, run.info.run_id, f"{stage.run_folder}/{Path(path).name}", Path(path))


def record_file(client: MlflowClient, run_id: str, artifact: str, file: Path) -> None:
    """Set the tag with the digest of an artifact that commands load with the model."""
    set_tags(client, run_id, {f"{FILE_TAG}{artifact}": digest(file)})


def log_lock(client: MlflowClient, run_id: str, content: bytes) -> None:
    """Set a run's tags from a `dvc.lock`, and log the file under its digest. Earlier files stay."""
    stages = read_lock(content)
    path = kept_lock(lock_digest(stages))
    set_tags(client, run_id, lock_tags(stages))
    if path not in {item.path for item in client.list_artifacts(run_id, LOCKS)}:
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / Path(path).name
            file.write_bytes(content)
            client.log_artifact(run_id, str(file), LOCKS)


def kept_lock(lock_sha256: str) -> str:
    """The artifact path of the `dvc.lock` with this digest."""
    return f"{LOCKS}/{lock_sha256}.yaml"


def grouped_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """`reports/metrics.json` as MLflow metrics by group, such as `test/neg_elbo` or `ood/hflip.neg_elbo.auroc`.

    The metrics of a class are named `test_class_7/neg_elbo`. The protocol and standard errors outside `test/` are not
    logged, because they would add hundreds of names.
    """
    groups = {name: figures for name, figures in metrics.items() if name not in ("per_class", "protocol")}
    by_class = metrics.get("per_class", {})
    groups |= {f"test_class_{NOT_IN_NAMES.sub('_', label)}": figures for label, figures in by_class.items()}
    return {
        f"{group}/{NOT_IN_NAMES.sub('_', name)}": float(value)
        for group, figures in groups.items()
        for name, value in flatten(figures).items()
        if group == "test" or not name.endswith("_se")
    }


def _find_or_restore(client: MlflowClient, experiment: str) -> Run:
    """The run that trained the model on disk. If the store has none, a new run with the tag `vaeline.restored`.

    A run may have the present train key but no model: it lost the store before the training ended. It is finished now.
    """
    tags = code_tags() | program_tags()
    by_key, by_digest = {KEY_TAG: tags[KEY_TAG]}, {DIGEST_TAG: digest(Path(MODEL))}
    if known := find_run(client, experiment, by_key | by_digest):
        return known
    run = find_run(client, experiment, by_key) if is_current("train") else None
    if run is None:
        if known := find_run(client, experiment, by_digest):
            return known
        name = run_name(declared_params(), tags[KEY_TAG])
        run = client.create_run(experiment, tags=by_key | by_digest | {RESTORED: "true"}, run_name=name)
    set_tags(client, run.info.run_id, tags | by_digest | {RESTORED: "true"})
    client.set_terminated(run.info.run_id)
    return client.get_run(run.info.run_id)


def _log_validation(client: MlflowClient, run_id: str) -> None:
    if Path(VALIDATION).is_file():
        client.log_artifact(run_id, VALIDATION, "validation")
    if (DATA_DOCS / "index.html").is_file():
        log_files(client, run_id, DATA_DOCS, "validation/docs")
        set_tags(client, run_id, {"vaeline.data_docs": "validation/docs/index.html"})
