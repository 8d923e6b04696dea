"""A sweep in MLflow, in the experiment `sweeps`: one run for the sweep, and a child run for each trial.

Only the process that searches writes to the store. If the store fails, the sweep goes on without it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from vaeline.redaction import redact
from vaeline.sweeps.trials import FAILED, Trial
from vaeline.tracking.runs import (
    close_stale_runs,
    find_run,
    log_history,
    log_metrics,
    log_params,
    own_process_tags,
    set_tags,
)
from vaeline.tracking.store import STORE_ERRORS, SWEEPS, named_experiment, open_store, unreachable

SWEEP_TAG, TRIAL_TAG, STATE_TAG = "vaeline.sweep", "vaeline.sweep_trial", "vaeline.sweep_state"


class SweepRun:
    """The runs of a sweep. A sweep that goes on continues in the runs that it has."""

    def __init__(self, sweep: str, dataset: str, metric: str):
        self.sweep = sweep
        self.dataset = dataset
        self.metric = metric
        self.children: dict[str, Run] = {}
        self.lost = False

    @cached_property
    def client(self) -> MlflowClient:
        """The store."""
        return open_store()

    @cached_property
    def experiment(self) -> str:
        """The id of the experiment of all sweeps. Runs in it whose process has ended are closed first."""
        found = named_experiment(self.client, SWEEPS)
        close_stale_runs(self.client, found)
        return found

    @cached_property
    def parent(self) -> str:
        """The id of the sweep's own run."""
        return self._open("", self.sweep).info.run_id

    def began(self, trial: Trial) -> None:
        """Open the run of a trial."""
        self._attempt(lambda: self._child(trial))

    def progressed(self, trial: Trial) -> None:
        """Log the epochs of a trial that its run does not have."""
        self._attempt(lambda: log_history(self.client, self._child(trial).info.run_id, trial.history))

    def ended(self, trial: Trial) -> None:
        """Log all of a trial, and close its run. A second call adds nothing."""

        def end() -> None:
            run = self._child(trial)
            log_history(self.client, run.info.run_id, trial.history)
            if trial.history:
                metrics = {f"sweep/{self.metric}": trial.value(self.metric), "sweep/epochs": len(trial.history)}
                log_metrics(self.client, run, metrics)
            set_tags(
                self.client, run.info.run_id, {STATE_TAG: trial.state, "vaeline.ended_by": redact(trial.reason)[:500]}
            )
            self.client.set_terminated(run.info.run_id, "FAILED" if trial.state == FAILED else "FINISHED")

        self._attempt(end)

    def restore(self, trial: Trial) -> None:
        """Log a trial that ended in an earlier process, if its run does not say so."""

        def restore() -> None:
            run = find_run(self.client, self.experiment, {SWEEP_TAG: self.sweep, TRIAL_TAG: trial.key})
            if run is None or run.data.tags.get(STATE_TAG) != trial.state:
                self.ended(trial)

        self._attempt(restore)

    def finish(self, best: Trial, files: Sequence[Path]) -> None:
        """Log the best trial and the files of the sweep, and close its run."""

        def finish() -> None:
            run = self.client.get_run(self.parent)
            log_metrics(self.client, run, {f"sweep/{self.metric}": best.value(self.metric)})
            tags = {f"vaeline.best.{key}": str(value) for key, value in best.values.items()}
            set_tags(self.client, self.parent, tags)
            for file in files:
                self.client.log_artifact(self.parent, str(file))
            self.client.set_terminated(self.parent, "FINISHED")

        self._attempt(finish)

    def killed(self) -> None:
        """Close all open runs of the sweep as KILLED."""

        def kill() -> None:
            for run_id in (*(run.info.run_id for run in self.children.values()), self.parent):
                if self.client.get_run(run_id).info.status == "RUNNING":
                    self.client.set_terminated(run_id, "KILLED")

        self._attempt(kill)

    def _child(self, trial: Trial) -> Run:
        if trial.key not in self.children:
            run = self._open(trial.key, f"{self.sweep}-{trial.key[:6]}", {MLFLOW_PARENT_RUN_ID: self.parent})
            log_params(self.client, run, trial.values)
            self.children[trial.key] = run
        return self.children[trial.key]

    def _open(self, trial: str, name: str, tags: Mapping[str, str] = MappingProxyType({})) -> Run:
        known_by = {SWEEP_TAG: self.sweep, TRIAL_TAG: trial}
        run = find_run(self.client, self.experiment, known_by)
        if run is None:
            run = self.client.create_run(self.experiment, tags=known_by, run_name=name)
        self.client.update_run(run.info.run_id, status="RUNNING")
        set_tags(self.client, run.info.run_id, {**tags, "vaeline.dataset": self.dataset, **own_process_tags()})
        return run

    def _attempt(self, action: Callable[[], object]) -> None:
        if self.lost:
            return
        try:
            action()
        except STORE_ERRORS as error:
            self.lost = True
            print(f"sweep: {unreachable(error)}. The sweep goes on; start it again to log what is missing", flush=True)
