"""Records of trials, and the training of one."""

from dataclasses import replace

import pytest

from vaeline.sweeps.plan import with_values
from vaeline.sweeps.trials import (
    FAILED,
    FINISHED,
    RUNNING,
    STOPPED,
    Trial,
    best_trial,
    read_trials,
    train_trial,
    write_trial,
)
from vaeline.training.checkpoint import load_checkpoint

METRIC = "val_kl"
QUICK = {"model.architecture": "mlp", "train.epochs": 3, "train.min_kl": 0.0, "train.jit_compile": False}


def rows(*losses, metric=1.0):
    return [{"epoch": number, "val_loss": loss, METRIC: metric + number} for number, loss in enumerate(losses, 1)]


def test_records_come_back_in_the_order_in_which_the_trials_began(tmp_path):
    trials = [Trial({"train.seed": seed}, number, history=rows(3.0, 2.0)) for number, seed in enumerate((9, 1, 5), 1)]
    for trial in reversed(trials):
        write_trial(trial, tmp_path)
    ended = replace(trials[1], state=FINISHED)
    write_trial(ended, tmp_path)
    assert read_trials(tmp_path) == [trials[0], ended, trials[2]]


def test_the_value_is_that_of_the_weights_that_a_training_keeps():
    assert Trial({}, history=rows(3.0, 1.0, 2.0)).value(METRIC) == 3.0
    with pytest.raises(ValueError, match="empty"):
        Trial({}).value(METRIC)


def test_the_best_trial_is_one_that_did_not_fail():
    trials = [
        Trial({"a": 1}, state=FAILED, history=rows(1.0, metric=0.0)),
        Trial({"a": 2}, state=FINISHED, history=rows(1.0, metric=5.0)),
        Trial({"a": 3}, state=STOPPED, history=rows(1.0, metric=4.0)),
        Trial({"a": 4}, state=RUNNING),
    ]
    assert best_trial(trials, METRIC) is trials[2]
    assert best_trial(trials[:1], METRIC) is None


@pytest.mark.usefixtures("training")
def test_a_trial_that_was_stopped_ends_as_one_that_was_not(params, prepared_directory, tmp_path):
    quick = with_values(params, QUICK)
    whole = train_trial(quick, prepared_directory, tmp_path / "whole", lambda history: None)

    def stop(history):
        if len(history) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_trial(quick, prepared_directory, tmp_path / "stopped", stop)
    assert len(load_checkpoint(tmp_path / "stopped").history) == 2
    seen = []
    again = train_trial(quick, prepared_directory, tmp_path / "stopped", lambda history: seen.append(len(history)))
    assert seen == [3]
    assert again == whole
