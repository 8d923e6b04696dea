"""Log a training to MLflow: live metrics and the true status. A store that fails does not stop the training."""

import signal
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from mlflow import MlflowClient
from mlflow.entities import Run

from vaeline.errors import VaelineError
from vaeline.processes import Terminated, raising
from vaeline.redaction import redact
from vaeline.tracking.lineage import data_tags, declared_params, image_tags, read_validation, training_tags
from vaeline.tracking.locks import data_md5
from vaeline.tracking.programs import program_tags
from vaeline.tracking.runs import (
    DIGEST_TAG,
    KEY_TAG,
    close_stale_runs,
    find_run,
    log_dataset,
    log_history,
    log_params,
    own_process_tags,
    run_name,
    set_tags,
)
from vaeline.tracking.store import STORE_ERRORS, experiment_id, open_store, unreachable

ENDED_BY = "vaeline.ended_by"
DEVICE_TAG = "vaeline.device"


class TrainingObserver:
    """The run of the present training. If the store fails, it logs nothing more, and the training continues."""

    def __init__(self, key: str, manifest: Mapping[str, Any], device: str):
        self.key = key
        self.device = device
        self.manifest = manifest
        self.client: MlflowClient | None = None
        self.run: Run | None = None
        self.lost = False
        self.epoch_began = time.monotonic()

    def begin(self) -> None:
        """Open the run of this train key, or the earlier one if it was stopped. Log tags, parameters and data set."""
        self._attempt(self._begin)

    def log_epoch(self, row: Mapping[str, float]) -> None:
        """Log one epoch and its duration, unless the run has it already."""
        now = time.monotonic()
        seconds, self.epoch_began = now - self.epoch_began, now
        self._attempt_on_run(lambda client, run_id: log_history(client, run_id, [{**row, "epoch_seconds": seconds}]))

    def log_earlier_epochs(self, history: Sequence[Mapping[str, float]]) -> None:
        """Log the epochs that an earlier process did not log. It may have ended between a checkpoint and its log."""
        self._attempt_on_run(lambda client, run_id: log_history(client, run_id, history))

    def trained(self, model_digest: str) -> None:
        """Set the run's tag of the model digest. This is tried even if the store failed before."""
        self.lost = self.run is None
        self._attempt_on_run(lambda client, run_id: set_tags(client, run_id, {DIGEST_TAG: model_digest}))

    def end(self, status: str, reason: str = "") -> None:
        """Close the run as FINISHED, FAILED or KILLED. This is tried even if the store failed before."""
        self.lost = self.run is None
        if reason:
            self._attempt_on_run(lambda client, run_id: set_tags(client, run_id, {ENDED_BY: redact(reason)[:500]}))
        self._attempt_on_run(lambda client, run_id: client.set_terminated(run_id, status))

    def _attempt_on_run(self, action: Callable[[MlflowClient, str], None]) -> None:
        if self.client is not None and self.run is not None:
            self._attempt(partial(action, self.client, self.run.info.run_id))

    def _attempt(self, action: Callable[[], None]) -> None:
        if self.lost:
            return
        try:
            action()
        except STORE_ERRORS as error:
            self.lost = True
            print(
                f"train: {unreachable(error)}. The training is not affected; when the store works again, run "
                "`vaeline track sync` to add what is missing",
                flush=True,
            )

    def _begin(self) -> None:
        client = self.client = open_store()
        experiment = experiment_id(client, self.manifest["name"])
        for name in close_stale_runs(client, experiment):
            print(f"train: the process of the run {name} has ended; its status is now KILLED", flush=True)
        params = declared_params()
        run = find_run(client, experiment, {KEY_TAG: self.key})
        if run is None:
            run = client.create_run(experiment, tags={KEY_TAG: self.key}, run_name=run_name(params, self.key))
        self.run = run
        client.update_run(run.info.run_id, status="RUNNING")
        about = data_tags(self.manifest["dataset"], read_validation()) | image_tags(self.manifest["image"])
        about |= training_tags() | {DEVICE_TAG: self.device} | program_tags() | own_process_tags()
        set_tags(client, run.info.run_id, about)
        if ENDED_BY in run.data.tags:
            client.delete_tag(run.info.run_id, ENDED_BY)
        log_params(client, run, params)
        log_dataset(client, run, self.manifest["name"], data_md5(), self.manifest["splits"])


@contextmanager
def watch_training(key: str, manifest: Mapping[str, Any], device: str) -> Generator[TrainingObserver]:
    """Open the run, and close it with its true status: FINISHED, KILLED (Ctrl-C, SIGTERM) or FAILED.

    device: what computes, in words.
    """
    observer = TrainingObserver(key, manifest, device)
    with raising(signal.SIGTERM):
        try:
            observer.begin()
            yield observer
        except (KeyboardInterrupt, Terminated) as stop:
            observer.end("KILLED", type(stop).__name__)
            raise
        except BaseException as error:
            observer.end("FAILED", f"{type(error).__name__}: {error}")
            raise
        else:
            observer.end("FINISHED")


@contextmanager
def exclusive(lock_file: Path, process: str = "pipeline/train.py") -> Generator[None]:
    """Hold a lock that prevents a second training in this workspace, for example by an orphan of a killed `dvc`.

    process: what holds the lock, as it stands in the list of processes.

    Raises:
        VaelineError: another process holds it.
    """
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock_file, timeout=0):
            yield
    except Timeout:
        raise VaelineError(
            f"another training runs in this folder (it holds {lock_file}); wait for it, or end it: pkill -f '{process}'"
        ) from None
