"""Rebuild runs that the store has lost from git and DVC: one for each model that a `dvc.lock` records."""

import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Run, ViewType

from vaeline.outputs import HISTORY, METRICS, MODEL, PREPARED, STATISTICS, VALIDATION
from vaeline.stages import read_stages
from vaeline.tracking.history import (
    RecordedLock,
    differing_code,
    environment_digest,
    recorded_key,
    recorded_locks,
    recorded_metrics,
)
from vaeline.tracking.lineage import data_tags, image_tags
from vaeline.tracking.locks import deps, is_about_its_model, outs, params
from vaeline.tracking.runs import (
    DIGEST_TAG,
    KEY_TAG,
    RESTORED,
    close_stale_runs,
    every_run,
    log_dataset,
    log_files,
    log_history,
    log_metrics,
    log_params,
    name_of,
    run_name,
    set_tags,
)
from vaeline.tracking.store import experiment_id, state_directory
from vaeline.tracking.sync import LOADED_WITH_A_MODEL, grouped_metrics, log_lock, record_file
from vaeline.tracking.trees import Tree, is_file, read_file, recorded_tree, tree_digest, write_tree

RESTORED_FROM = "vaeline.restored_from"
MODEL_TAG = f"vaeline.outs.{MODEL}"
LOCK_TAG = "vaeline.dvc_lock_sha256"
TOO_LARGE = {STATISTICS}  # no run keeps these outputs
NOT_AVAILABLE = "neither on disk nor in the DVC cache"
OTHER_MODEL = "dvc.lock records the file of another model"
OTHER_METRICS = "no commit has the file that dvc.lock records"


@dataclass
class Restoration:
    """The result for a recorded model: its run, the files that were added, and the missing files with the reason."""

    run_name: str
    run_id: str
    commit: str
    outcome: str  # rebuilt, completed, known, deleted
    added: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


def restore_runs(client: MlflowClient) -> tuple[list[Restoration], list[str]]:
    """Rebuild the runs of all models that a commit's `dvc.lock` records and the store does not have.

    Returns the result for each model, in the order of training, and the commits whose lock cannot be read. A rebuilt
    run has the tag `vaeline.restored`, and a later call adds files that were missing. Runs that the store has, and
    runs that were deleted there, are not changed. A run is identified by its model, or by its train key if it has no
    model yet.
    """
    locks, unreadable = recorded_locks()
    by_model: dict[str, list[RecordedLock]] = {}
    for lock in locks:
        by_model.setdefault(lock.model_md5, []).append(lock)
    with FileLock(state_directory() / "restore.lock"):
        for name in {lock.experiment for lock in locks}:
            close_stale_runs(client, experiment_id(client, name))
        runs = every_run(client, view=ViewType.ALL)
        return [_restore(client, runs, found) for found in by_model.values()], unreadable


def is_run_of(run: Run, lock: RecordedLock) -> bool:
    """Whether a run trained the model of a lock. A run without a model yet is identified by its dependencies."""
    tags = run.data.tags
    if MODEL_TAG in tags:
        return tags[MODEL_TAG] == lock.model_md5
    inputs = {f"vaeline.deps.{path}": md5 for path, md5 in deps(lock.stages, "train").items()}
    parameters = {key: str(value) for key, value in params(lock.stages, "train").items()}
    return DIGEST_TAG in tags and inputs.items() <= tags.items() and parameters.items() <= run.data.params.items()


def _restore(client: MlflowClient, runs: Sequence[Run], locks: Sequence[RecordedLock]) -> Restoration:
    """Find or make the run of the model that all `locks` record, and add what it lacks."""
    lock = _best(locks)
    model = recorded_tree(MODEL, lock.model_md5)
    key = recorded_key(lock.stages, lock.commit)
    run = _find(runs, locks, tree_digest(model) if model else "", key)
    outcome = "known" if run else "rebuilt"
    began = locks[0].time * 1000
    if run is None:
        name, known_by = run_name(params(lock.stages), key or lock.model_md5), {MODEL_TAG: lock.model_md5}
        experiment = experiment_id(client, lock.experiment)
        run = client.create_run(experiment, start_time=began, tags=known_by | {RESTORED: "true"}, run_name=name)
    if RESTORED in run.data.tags and run.info.status == "RUNNING":  # this restoration or one that was killed
        client.set_terminated(run.info.run_id, end_time=began)
    found = Restoration(name_of(run), run.info.run_id, lock.commit, outcome)
    if run.info.lifecycle_stage == LifecycleStage.DELETED:
        found.outcome = "deleted"
    elif outcome == "rebuilt" or RESTORED in run.data.tags or _was_stopped(run) or _lost_its_files(client, run):
        _fill(client, run, lock, found, key)
        found.outcome = "completed" if outcome == "known" and found.added else outcome
    return found


def _best(locks: Sequence[RecordedLock]) -> RecordedLock:
    """The newest lock whose commit has the recorded metrics and code; else the newest with the metrics."""
    evaluated = [lock for lock in reversed(locks) if recorded_metrics(lock) is not None]
    whole = (lock for lock in evaluated if not differing_code(lock.stages, "train", lock.commit))
    return next(whole, evaluated[0] if evaluated else locks[-1])


def _find(runs: Sequence[Run], locks: Sequence[RecordedLock], model_digest: str, key: str) -> Run | None:
    """The run of the model by digest, md5 or dependencies; else a run with its train key and without a model."""
    tests = (
        lambda run: run.data.tags.get(DIGEST_TAG) == model_digest,
        lambda run: any(is_run_of(run, lock) for lock in locks),
        lambda run: DIGEST_TAG not in run.data.tags and run.data.tags.get(KEY_TAG) == key,
    )
    alive_first = sorted(runs, key=lambda run: run.info.lifecycle_stage == LifecycleStage.DELETED)
    return next((run for test in tests for run in alive_first if test(run)), None)


def _was_stopped(run: Run) -> bool:
    """Whether the run of this training never recorded its end."""
    return DIGEST_TAG not in run.data.tags and run.info.status != "RUNNING"


def _lost_its_files(client: MlflowClient, run: Run) -> bool:
    """Whether the artifacts of a run were deleted: it has a lock among its tags, and no files."""
    return LOCK_TAG in run.data.tags and not client.list_artifacts(run.info.run_id)


def _fill(client: MlflowClient, run: Run, lock: RecordedLock, found: Restoration, key: str) -> None:
    """Add what the run lacks and is available. Existing entries stay: a later evaluation may have written them."""
    trees, found.missing = _available(lock)
    _describe(client, run, lock, key, trees)
    if _was_stopped(run):
        client.set_terminated(run.info.run_id)
    for path, add in {METRICS: _add_metrics, HISTORY: _add_history}.items():
        if add(client, run, trees):
            found.added.append(Path(path).name)
    for name, stage in read_stages().items():
        for path in outs(lock.stages, name):
            logged = path in trees and path != HISTORY
            if logged and _add_artifact(client, run.info.run_id, trees[path], Path(path).name, stage.run_folder):
                found.added.append(Path(path).name)
    found.added = list(dict.fromkeys(found.added))


def _available(lock: RecordedLock) -> tuple[dict[str, Tree], dict[str, str]]:
    """The available outputs of this model by path, and the names of the missing ones with the reason."""
    trees, missing = {}, {}
    kept = {name: stage for name, stage in read_stages().items() if stage.run_folder}
    for name, stage in kept.items():
        is_of_model = MODEL not in stage.deps or is_about_its_model(lock.stages, name)
        for path, md5 in outs(lock.stages, name).items():
            if path in TOO_LARGE:
                continue
            tree = recorded_metrics(lock) if path == METRICS else recorded_tree(path, md5)
            if is_of_model and tree is not None:
                trees[path] = tree
            else:
                reason = OTHER_METRICS if path == METRICS else NOT_AVAILABLE
                missing[Path(path).name] = reason if is_of_model else OTHER_MODEL
    return trees, missing


def _describe(client: MlflowClient, run: Run, lock: RecordedLock, key: str, trees: Mapping[str, Tree]) -> None:
    """Log tags, parameters, data set and lock, as far as the run lacks them."""
    validation = json.loads(read_file(trees[VALIDATION])) if VALIDATION in trees else {}
    tags = {
        RESTORED: "true",
        RESTORED_FROM: lock.commit,
        "mlflow.source.git.commit": lock.commit,
        "vaeline.git_dirty": str(bool(differing_code(lock.stages, "train", lock.commit))).lower(),
        "vaeline.environment_sha256": environment_digest(lock.commit),
        KEY_TAG: key,
        DIGEST_TAG: tree_digest(trees[MODEL]) if MODEL in trees else "",
        **data_tags(lock.dataset, validation),
    }
    set_tags(client, run.info.run_id, {tag: value for tag, value in tags.items() if value and tag not in run.data.tags})
    log_params(client, run, {key: value for key, value in params(lock.stages).items() if key not in run.data.params})
    if LOCK_TAG not in run.data.tags:
        log_lock(client, run.info.run_id, lock.content)
    if not (run.inputs and run.inputs.dataset_inputs):
        md5 = outs(lock.stages, "prepare").get(PREPARED, "")
        prepared = recorded_tree(PREPARED, md5) or {}
        manifest = json.loads(read_file({"": prepared["manifest.json"]})) if "manifest.json" in prepared else {}
        log_dataset(client, run, lock.experiment, md5, manifest.get("splits", {}))
        if "image" in manifest:  # manifests from before images had channels do not say it
            set_tags(client, run.info.run_id, image_tags(manifest["image"]))


def _add_metrics(client: MlflowClient, run: Run, trees: Mapping[str, Tree]) -> bool:
    if METRICS not in trees or any(name.startswith("test/") for name in run.data.metrics):
        return False
    log_metrics(client, run, grouped_metrics(json.loads(read_file(trees[METRICS]))))
    return True


def _add_history(client: MlflowClient, run: Run, trees: Mapping[str, Tree]) -> bool:
    if HISTORY not in trees or any(name.startswith("validation/") for name in run.data.metrics):
        return False
    log_history(client, run.info.run_id, pd.read_csv(io.BytesIO(read_file(trees[HISTORY]))).to_dict("records"))
    return True


def _add_artifact(client: MlflowClient, run_id: str, tree: Tree, name: str, folder: str) -> bool:
    """Log a file into `folder`, or a folder as `folder`, unless the run has it already."""
    present = {item.path for item in client.list_artifacts(run_id, folder)}
    if f"{folder}/{name}" in present if is_file(tree) else present:
        return False
    with tempfile.TemporaryDirectory() as scratch:
        copy = write_tree(tree, Path(scratch) / name)
        log_files(client, run_id, copy, folder)
        if copy.name in {Path(path).name for path in LOADED_WITH_A_MODEL}:
            record_file(client, run_id, f"{folder}/{name}", copy)
    return True
