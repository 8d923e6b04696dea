"""Trials of a sweep: their records in a folder, and the training of one.

`FOLDER/<key>.json` is the record of a trial, and `FOLDER/<key>/` its checkpoint, which is deleted when the trial ends.
Both are named by the values of the trial, so that a sweep that was stopped goes on.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from vaeline.artifacts import write_json
from vaeline.data.prepared import read_prepared
from vaeline.own_files import read_json
from vaeline.params.whole import Params
from vaeline.sweeps.plan import trial_key
from vaeline.training.batches import Examples
from vaeline.training.checkpoint import History, drop_checkpoint
from vaeline.training.fit import best_epoch, fit, resume_or_start

RUNNING, FINISHED, STOPPED, FAILED = "running", "finished", "stopped early", "failed"
ENDED = (FINISHED, STOPPED, FAILED)
PLACES = 9


@dataclass(frozen=True)
class Trial:
    """The values that a trial changes, by dotted key; its state; the epochs so far; the reason if it failed.

    number: its place in the order in which the trials of the sweep began, from 1.
    """

    values: dict[str, Any]
    number: int = 0
    state: str = RUNNING
    history: History = field(default_factory=list)
    reason: str = ""

    @property
    def key(self) -> str:
        """Twelve hex digits that identify the values."""
        return trial_key(self.values)

    def value(self, metric: str) -> float:
        """The metric after the epoch with the lowest validation loss, whose weights a training keeps.

        Raises:
            ValueError: no epoch has ended.
        """
        return self.history[best_epoch(self.history)][metric]


def write_trial(trial: Trial, folder: Path) -> None:
    """Write the record of a trial, atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{trial.key}.json", asdict(trial), PLACES)


def read_trial(key: str, folder: Path) -> Trial:
    """The record of the trial with this key."""
    return Trial(**read_json(folder / f"{key}.json", "delete it, and the sweep tries these values again"))


def read_trials(folder: Path) -> list[Trial]:
    """All trials that began, in this order."""
    found = [read_trial(file.stem, folder) for file in folder.glob("*.json")]
    return sorted(found, key=lambda trial: trial.number)


def drop_trial_checkpoint(trial: Trial, folder: Path) -> None:
    """Delete the checkpoint of a trial that has ended."""
    drop_checkpoint(folder / trial.key)


def best_trial(trials: list[Trial], metric: str) -> Trial | None:
    """The trial with the lowest metric among those that did not fail; None if there is none."""
    known = [trial for trial in trials if trial.state != FAILED and trial.history]
    return min(known, key=lambda trial: trial.value(metric), default=None)


def train_trial(params: Params, prepared: Path, checkpoint: Path, watch: Callable[[History], None]) -> History:
    """Train as the stage `train` does, continuing from `checkpoint`; `watch` gets the whole history after each epoch.

    Only one process at a time trains from a checkpoint; another one waits.

    Raises:
        VaelineError: the loss is not finite, or the posterior has collapsed.
    """
    data = read_prepared(prepared)
    train, validation = (
        Examples(data.splits[name].images, data.splits[name].labels) for name in ("train", "validation")
    )
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(checkpoint.with_suffix(".lock")):
        progress = resume_or_start(checkpoint, train, len(data.classes), params.model, params.train, data.image)
        _, history = fit(progress, train, validation, params.train, checkpoint, lambda row: watch(progress.history))
    return history
