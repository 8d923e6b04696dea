"""Find MLflow runs by their tags, and log to them."""

import platform
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import psutil
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunStatus, RunTag, ViewType
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from vaeline.artifacts import canonical_json
from vaeline.outputs import PREPARED
from vaeline.redaction import redact
from vaeline.tracking.store import holds_trainings

DIGEST_TAG = "vaeline.model_digest"
KEY_TAG = "vaeline.train_key"
FILES_TAG = "vaeline.files_sha256"  # the digest of the list of a registered model's files
FILE_TAG = "vaeline.file_sha256."  # the digest of another file that is loaded with the model, by its artifact path
RESTORED = "vaeline.restored"
QUOTES = re.compile(r"['\"\\]")
PART_OF_AN_ID = re.compile(r"[0-9a-f]{6,32}")
PARAMS_A_CALL = 100
METRICS_A_CALL = 1000


def with_tags(tags: Mapping[str, str]) -> str:
    """MLflow's filter for runs or versions that have all of these tags."""
    return " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in tags.items())


def find_run(client: MlflowClient, experiment: str, tags: Mapping[str, str]) -> Run | None:
    """The newest run of an experiment with these tags, finished runs first; None if there is none."""
    runs = client.search_runs([experiment], with_tags(tags), order_by=["attributes.start_time DESC"])
    return next((run for run in runs if run.info.status == "FINISHED"), runs[0] if runs else None)


def runs_called(client: MlflowClient, text: str) -> list[Run]:
    """Runs with this name, newest first; else runs whose id begins with `text` (six characters or more)."""
    pattern = QUOTES.sub("_", text)  # MLflow's filters cannot escape quotes, but in LIKE, _ matches any character
    named = [run for run in search_all(client, f"attributes.run_name LIKE '{pattern}'") if run.info.run_name == text]
    if named or not PART_OF_AN_ID.fullmatch(text):
        return named
    return search_all(client, f"attributes.run_id LIKE '{text}%'")


def search_all(client: MlflowClient, wanted: str, limit: int = 1000) -> list[Run]:
    """Runs of all experiments with trainings that match a filter, newest first."""
    found = client.search_experiments()
    experiments = [experiment.experiment_id for experiment in found if holds_trainings(experiment.name)]
    return list(client.search_runs(experiments, wanted, max_results=limit, order_by=["attributes.start_time DESC"]))


def every_run(client: MlflowClient, wanted: str = "", view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    """All runs of all experiments that match a filter, newest first, without a limit."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    order, found, token = ["attributes.start_time DESC"], [], None
    while page := client.search_runs(experiments, wanted, view, order_by=order, page_token=token):
        found += page
        if not (token := page.token):
            break
    return found


def training_minutes(client: MlflowClient, model_sha256: str) -> float | None:
    """Training time of the model with this digest, summed over the epochs of its runs; None if no run has it."""
    if not model_sha256:
        return None
    runs = search_all(client, with_tags({DIGEST_TAG: model_sha256}))
    name = epoch_metric("epoch_seconds")
    seconds = [metric.value for run in runs[:1] for metric in client.get_metric_history(run.info.run_id, name)]
    return sum(seconds) / 60 if seconds else None


def run_name(params: Mapping[str, Any], key: str) -> str:
    """A name for a training. The same training always gets the same name."""
    kind = f"{params['model.kind']}-" if "model.kind" in params else ""  # the first trainings had no model.kind
    return f"{kind}{params['model.architecture']}-{params['model.latent_dim']}d-{key[:6]}"


def own_process_tags() -> dict[str, str]:
    """Tags by which `close_stale_runs` finds out that a process has ended."""
    return {
        "vaeline.host": platform.node(),
        "vaeline.pid": str(psutil.Process().pid),
        "vaeline.pid_started": str(psutil.Process().create_time()),
    }


def name_of(run: Run) -> str:
    """The name of a run; its id if it has no name."""
    return run.info.run_name or run.info.run_id


def close_stale_runs(client: MlflowClient, experiment: str) -> list[str]:
    """Set runs to KILLED that are RUNNING although their process on this machine has ended. Return their names."""
    closed = []
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        tags = run.data.tags
        if tags.get("vaeline.host") == platform.node() and not _alive(tags):
            client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))
            closed.append(name_of(run))
    return closed


def set_tags(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    """Set all tags in one call, without the secrets in their values."""
    client.log_batch(run_id, tags=[RunTag(key, redact(value)) for key, value in tags.items()])


def log_params(client: MlflowClient, run: Run, params: Mapping[str, Any]) -> None:
    """Log parameters that the run does not have yet.

    MLflow never changes a parameter. If a later evaluation used another value, the tag `vaeline.now.<key>` has it.
    """
    known = run.data.params
    missing = [Param(key, redact(str(value))) for key, value in params.items() if key not in known]
    for start in range(0, len(missing), PARAMS_A_CALL):
        client.log_batch(run.info.run_id, params=missing[start : start + PARAMS_A_CALL])
    changed = {
        f"vaeline.now.{key}": str(value) for key, value in params.items() if known.get(key, str(value)) != str(value)
    }
    if changed:
        set_tags(client, run.info.run_id, changed)


def log_metrics(client: MlflowClient, run: Run, metrics: Mapping[str, float]) -> None:
    """Log final metrics that differ from the run's present values. A second call therefore adds nothing."""
    now = int(time.time() * 1000)
    changed = [Metric(name, value, now, 0) for name, value in metrics.items() if run.data.metrics.get(name) != value]
    for start in range(0, len(changed), METRICS_A_CALL):
        client.log_batch(run.info.run_id, metrics=changed[start : start + METRICS_A_CALL])


def log_history(client: MlflowClient, run_id: str, history: Sequence[Mapping[str, float]]) -> None:
    """Log the epochs that the run does not have yet. The number of the epoch is the step."""
    done = {metric.step for metric in client.get_metric_history(run_id, "validation/loss")}
    now = int(time.time() * 1000)
    metrics = [
        Metric(epoch_metric(name), float(value), now, int(row["epoch"]))
        for row in history
        if int(row["epoch"]) not in done
        for name, value in row.items()
        if name != "epoch"
    ]
    for start in range(0, len(metrics), METRICS_A_CALL):
        client.log_batch(run_id, metrics=metrics[start : start + METRICS_A_CALL])


def log_files(client: MlflowClient, run_id: str, path: Path, folder: str) -> None:
    """Log a file into `folder` of a run, or the files of a folder as `folder` itself.

    On this machine's disks, each replaces an earlier file in one step. `log_artifacts` would overwrite it, which fails
    for a file of another user. To other stores, `log_artifacts` sends many files at once.
    """
    if path.is_file():
        client.log_artifact(run_id, str(path), folder)
        return
    if not isinstance(get_artifact_repository(str(client.get_run(run_id).info.artifact_uri)), LocalArtifactRepository):
        client.log_artifacts(run_id, str(path), folder)
        return
    for file in sorted(found for found in path.rglob("*") if found.is_file()):
        place = PurePosixPath(folder) / file.parent.relative_to(path).as_posix()
        client.log_artifact(run_id, str(file), str(place))


def epoch_metric(name: str) -> str:
    """The metric's name in MLflow, grouped: `val_kl` becomes `validation/kl`, `kl` `train/kl`."""
    return f"validation/{name.removeprefix('val_')}" if name.startswith("val_") else f"train/{name}"


def log_dataset(client: MlflowClient, run: Run, name: str, md5: str, rows: Mapping[str, Any]) -> None:
    """Log the prepared data as the run's input, with DVC's md5 as its digest."""
    known = {item.dataset.digest for item in run.inputs.dataset_inputs} if run.inputs else set()
    if not md5 or md5 in known:
        return
    dataset = Dataset(
        name=name,
        digest=md5,
        source_type="dvc",
        source=canonical_json({"path": PREPARED, "md5": md5}),
        profile=canonical_json(rows),
    )
    context = InputTag(MLFLOW_DATASET_CONTEXT, "training")
    client.log_inputs(run.info.run_id, datasets=[DatasetInput(dataset, [context])])


def _alive(tags: Mapping[str, str]) -> bool:
    try:
        process = psutil.Process(int(tags["vaeline.pid"]))
    except (psutil.NoSuchProcess, KeyError):
        return False
    return str(process.create_time()) == tags.get("vaeline.pid_started")
