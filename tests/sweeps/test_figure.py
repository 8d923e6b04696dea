"""The figure and the table of a sweep."""

import numpy as np
import pytest

from vaeline.sweeps.figure import draw_sweep, sweep_table
from vaeline.sweeps.plan import SweepPlan
from vaeline.sweeps.trials import FAILED, FINISHED, STOPPED, Trial

METRIC = "val_loss"
SPACE = {
    "model.beta": {"low": 0.1, "high": 10.0, "log": True},
    "model.latent_dim": {"low": 2, "high": 4},
    "model.architecture": {"choice": ["mlp", "resmlp"]},
}
PLAN = SweepPlan.model_validate(
    {"metric": METRIC, "trials": 3, "at_once": 1, "seed": 1, "search": "random", "early_stopping": None, "space": SPACE}
)


def trial(number, state, losses, beta=1.0, architecture="mlp"):
    values = {"model.beta": beta, "model.latent_dim": 3, "model.architecture": architecture}
    return Trial(values, number, state, [{"epoch": epoch, METRIC: loss} for epoch, loss in enumerate(losses, 1)])


TRIALS = [
    trial(1, FINISHED, [9.0, 7.0]),
    trial(2, FAILED, [], beta=0.1),
    trial(3, FINISHED, [6.0, 5.0], 10.0, "resmlp"),
    trial(4, STOPPED, [8.0], 0.1),
]


def test_the_table_has_the_best_trial_first_and_the_failed_ones_last():
    table = sweep_table(TRIALS, METRIC)
    assert list(table[METRIC][:3]) == [5.0, 7.0, 8.0]
    assert list(table["state"]) == [FINISHED, FINISHED, STOPPED, FAILED]
    assert list(table["model.beta"]) == [10.0, 1.0, 0.1, 0.1]


def test_a_line_goes_through_the_values_of_its_trial():
    figure = draw_sweep(TRIALS, PLAN, "a sweep")
    coordinates, curves, best = figure.axes
    lines = [line.get_ydata() for line in coordinates.get_lines() if len(line.get_xdata()) == len(SPACE) + 1]
    assert [list(line) for line in lines] == [
        pytest.approx([0.5, 0.5, 0, 2 / 3]),
        pytest.approx([1, 0.5, 1, 0]),
        pytest.approx([0, 0.5, 0, 1]),
    ]
    assert [list(line.get_ydata()) for line in curves.get_lines()] == [[9.0, 7.0], [6.0, 5.0], [8.0]]
    (steps,) = best.get_lines()
    np.testing.assert_array_equal(steps.get_xydata(), [[1, 7], [3, 5], [4, 5]])
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in (curves, best))
