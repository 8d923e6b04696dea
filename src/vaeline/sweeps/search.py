"""The search: Ray Tune runs the trials, ASHA stops those that fall behind, and Optuna proposes values.

What is known of a sweep is in the records of its trials (`sweeps.trials`). Nothing that Ray writes is read again.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from vaeline.cluster import connected
from vaeline.compute import takes_gpu, use_device, use_precision
from vaeline.errors import VaelineError
from vaeline.params.base import nearest
from vaeline.params.whole import Params
from vaeline.sweeps.plan import Choice, Range, SweepPlan, rounded, trial_key, with_values
from vaeline.sweeps.trials import (
    ENDED,
    FAILED,
    FINISHED,
    RUNNING,
    STOPPED,
    Trial,
    drop_trial_checkpoint,
    read_trial,
    read_trials,
    train_trial,
    write_trial,
)
from vaeline.training.checkpoint import History
from vaeline.training.fit import is_finished

EPOCH, VALUE, HISTORY, REASON = "epoch", "value", "history", "reason"
STUDY = "sweep"
RESTARTS = 3  # of a trial whose process died


class Observer(Protocol):
    """Whom the search tells what happens. `resumed` gets the trials that had ended before."""

    def resumed(self, trials: list[Trial]) -> None: ...
    def began(self, trial: Trial) -> None: ...
    def progressed(self, trial: Trial) -> None: ...
    def ended(self, trial: Trial) -> None: ...


@dataclass(frozen=True)
class Job:
    """What a process needs to train any trial of a sweep."""

    params: Params
    metric: str
    prepared: Path
    folder: Path


def search(job: Job, plan: SweepPlan, observer: Observer, address: str = "") -> list[Trial]:
    """Run trials until `plan.trials` have ended, and return all. Those that ended before are not repeated.

    address: of a Ray cluster whose machines see the same files; empty for Ray on this machine alone. This machine
        decides what `compute.device: auto` means for all.

    Raises:
        VaelineError: the cluster does not answer, or a GPU is asked for, and missing.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    device = "gpu" if takes_gpu(job.params.compute.device) else "cpu"
    job = replace(job, params=with_values(job.params, {"compute.device": device}))
    with connected(address, plan.at_once * job.params.compute.threads), tempfile.TemporaryDirectory() as scratch:
        known = read_trials(job.folder)
        observer.resumed([trial for trial in known if trial.state in ENDED])
        while (missing := plan.trials - _count_ended(known)) > 0:
            _run(job, plan, known, missing, observer, Path(scratch))
            earlier, known = known, read_trials(job.folder)
            if _count_ended(known) == _count_ended(earlier):
                break  # the space has no further values
    return known


def _count_ended(trials: Sequence[Trial]) -> int:
    return sum(trial.state in ENDED for trial in trials)


def _run(job: Job, plan: SweepPlan, known: Sequence[Trial], count: int, observer: Observer, scratch: Path) -> None:
    recorder = _Recorder(job, observer)
    compute = job.params.compute
    resources = {"cpu": compute.threads, "gpu": int(compute.device == "gpu")}
    tuner = tune.Tuner(
        tune.with_resources(partial(_train, job=job), resources),
        tune_config=tune.TuneConfig(
            metric=VALUE,
            mode="min",
            search_alg=_searcher(plan, known),
            scheduler=_scheduler(plan, job.params),
            num_samples=count,
            max_concurrent_trials=plan.at_once,
        ),
        run_config=tune.RunConfig(
            storage_path=str(scratch),
            verbose=0,
            callbacks=[recorder],
            failure_config=tune.FailureConfig(max_failures=RESTARTS),
        ),
    )
    tuner.fit()


def _train(config: Mapping[str, Any], job: Job) -> None:
    """Train one trial in a process of Ray, and report each epoch. One that has ended is not trained again."""
    values = tidy(config)
    known = read_trial(trial_key(values), job.folder)
    if known.state in ENDED:  # Optuna proposes the same values twice if a space has only choices
        failed = known.state == FAILED or not known.history
        value = float("inf") if failed else known.value(job.metric)
        tune.report({EPOCH: len(known.history), VALUE: value, HISTORY: []})
        return
    params = with_values(job.params, values)
    use_device(params.compute)
    use_precision(params.compute.precision)
    reported = 0

    def report(history: History) -> None:
        nonlocal reported
        if job.metric not in history[-1]:
            raise VaelineError(f"a training of this model has no metric {job.metric}{nearest(job.metric, history[-1])}")
        new = history[reported:]  # the first report also has the epochs of an earlier process
        reported = len(history)
        tune.report({EPOCH: len(history), VALUE: Trial(values, history=history).value(job.metric), HISTORY: new})

    try:
        history = train_trial(params, job.prepared, job.folder / trial_key(values), report)
        if reported < len(history):
            report(history)
    except VaelineError as error:
        tune.report({EPOCH: reported + 1, VALUE: float("inf"), HISTORY: [], REASON: str(error)})


class _Recorder(tune.Callback):
    """Keeps the records of trials, and tells the observer."""

    def __init__(self, job: Job, observer: Observer):
        self.job = job
        self.observer = observer
        self.trials = {trial.key: trial for trial in read_trials(job.folder)}

    def __getstate__(self) -> dict[str, object]:
        """Nothing: Ray writes its callbacks into a file that is not read again, and a store cannot be written."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: object) -> None:
        values = tidy(trial.config)
        known = self.trials.get(trial_key(values), Trial(values, len(self.trials) + 1))
        self.trials.setdefault(known.key, known)
        if known.state not in ENDED:
            self.observer.began(self._keep(known))

    def on_trial_result(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, result: dict, **info: object
    ) -> None:
        known = self._of(trial)
        if known.state in ENDED:
            return
        rows = {row[EPOCH]: row for row in (*known.history, *result[HISTORY])}
        found = replace(known, history=[rows[epoch] for epoch in sorted(rows)], reason=result.get(REASON, ""))
        self.observer.progressed(self._keep(found))

    def on_trial_complete(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: object) -> None:
        known = self._of(trial)
        if known.state in ENDED:
            return
        whole = is_finished(known.history, with_values(self.job.params, known.values).train)
        state = FAILED if known.reason else FINISHED if whole else STOPPED
        drop_trial_checkpoint(known, self.job.folder)
        self.observer.ended(self._keep(replace(known, state=state)))

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: object) -> None:
        error = str(trial.get_error() or "").strip().splitlines()
        reason = f"its process ended {RESTARTS + 1} times: {error[-1] if error else 'no reason is known'}"
        drop_trial_checkpoint(self._of(trial), self.job.folder)
        self.observer.ended(self._keep(replace(self._of(trial), state=FAILED, reason=reason)))

    def _of(self, trial: TuneTrial) -> Trial:
        return self.trials[trial_key(tidy(trial.config))]

    def _keep(self, trial: Trial) -> Trial:
        self.trials[trial.key] = trial
        write_trial(trial, self.job.folder)
        return trial


def _searcher(plan: SweepPlan, known: Sequence[Trial]) -> OptunaSearch:
    """Optuna, told of the trials that have ended. Those that were stopped in the middle come first."""
    space = {key: _distribution(values) for key, values in plan.space.items()}
    seed = int(np.random.SeedSequence([plan.seed, len(known)]).generate_state(1)[0])
    samplers = {"optuna": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name=STUDY)
    for trial in known:
        if trial.state in ENDED:
            study.add_trial(_as_optuna(trial, plan.metric, space))
    return OptunaSearch(
        {**space},
        metric=VALUE,
        mode="min",
        sampler=samplers[plan.search](seed=seed),
        storage=storage,
        study_name=STUDY,
        points_to_evaluate=[trial.values for trial in known if trial.state == RUNNING] or None,
    )


def _as_optuna(trial: Trial, metric: str, space: Mapping[str, BaseDistribution]) -> optuna.trial.FrozenTrial:
    value = None if trial.state == FAILED or not trial.history else trial.value(metric)
    state = TrialState.FAIL if value is None else TrialState.COMPLETE
    return create_trial(state=state, value=value, params=trial.values, distributions=dict(space))


def _distribution(values: Choice | Range) -> BaseDistribution:
    if isinstance(values, Choice):
        return CategoricalDistribution(values.choice)
    if values.is_integer:
        return IntDistribution(int(values.low), int(values.high), log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


def _scheduler(plan: SweepPlan, params: Params) -> TrialScheduler:
    if plan.early_stopping is None:
        return FIFOScheduler()
    epochs = plan.space.get("train.epochs")
    most = max(int(end) for end in epochs.ends) if epochs else params.train.epochs
    first = min(plan.early_stopping.first_epoch, most)
    return ASHAScheduler(
        time_attr=EPOCH, max_t=most, grace_period=first, reduction_factor=plan.early_stopping.reduction
    )


def tidy(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a trial, its floats with few digits."""
    return {key: rounded(value) for key, value in values.items()}
