"""The trials of benchmarks/drift, on made-up scores."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from vaeline.ingestion.simulation import KINDS
from vaeline.monitoring.scores import Observed

with pytest.MonkeyPatch.context() as patch:  # the benchmark's modules are no part of the package
    patch.syspath_prepend(str(ROOT / "benchmarks"))
    table, trials = importlib.import_module("drift.table"), importlib.import_module("drift.trials")

Cell, TrialOutcome = trials.Cell, trials.TrialOutcome
ROWS = 900
QUIET, LOUD = TrialOutcome(((), (), ()), False), TrialOutcome((("kl",), ("kl", "latents"), ()), True)


@pytest.fixture(scope="module")
def bank():
    """Scores and latents of four classes; under drift, higher scores, and no digit is like any of them."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(4), ROWS // 4)
    latents = np.array([[0, 0], [6, 0], [0, 6], [6, 6]])[labels] + rng.normal(size=(ROWS, 2))
    make = lambda shift: Observed({"reconstruction": rng.normal(shift, 1, ROWS)}, latents, labels)  # noqa: E731
    return {"clean": make(0), "rotated-20": make(1), "foreign": make(50)}


@pytest.fixture
def few(settings):
    return settings.model_copy(update={"reference_rows": 400, "permutations": 99})


def test_clean_windows_are_quiet_and_drifted_ones_trigger(bank, few):
    clean = [trials.run_trial(bank, few, Cell("clean", 0.0, 100), trial) for trial in range(6)]
    assert trials.triggered_share(clean) == (0, 6)
    assert trials.violated_share(clean)[1] == 18
    drifted = trials.run_trial(bank, few, Cell("rotated", 20.0, 100), 1)
    assert drifted.triggered
    assert all("reconstruction" in names for names in drifted.violated)
    assert trials.run_trial(bank, few, Cell("rotated", 20.0, 100), 1) == drifted


def test_poison_takes_the_place_of_some_rows_and_the_labels_of_others(bank):
    rows = np.arange(0, ROWS, 3)
    window = trials.draw_window(bank, rows, Cell("poisoned", 0.4, 300), 1)
    foreign = window.scores["reconstruction"] > 20
    assert foreign.sum() == 60
    assert len(window.labels) == 300
    assert trials.draw_window(bank, rows, Cell("poisoned", 0.4, 300, labelled=False), 1).labels is None
    mixed = trials.draw_window(bank, np.arange(ROWS), Cell("class_mix", 0.4, 200), 1)
    assert np.bincount(mixed.labels, minlength=4).max() > 80


def test_the_loudest_test_is_named_first():
    assert trials.loudest([LOUD, QUIET]) == ["kl", "latents"]
    assert trials.violated_share([LOUD, QUIET]) == (2, 6)


@pytest.mark.parametrize(
    ("false", "true", "kept"), [(0, 40, True), (2, 40, True), (3, 40, False), (0, 38, True), (0, 37, False)]
)
def test_the_promise_is_few_false_alarms_and_nearly_all_drifts(settings, tmp_path, false, true, kept):
    drifts = [(kind, drift.strength) for kind, drift in KINDS.items() if kind != "clean"]
    results = {Cell("clean", 0.0, 500): [LOUD] * false + [QUIET] * (40 - false)}
    results |= {Cell(*drift, settings.window_rows): [LOUD] * 40 for drift in drifts}
    results[Cell(*drifts[-1], settings.window_rows)] = [LOUD] * true + [QUIET] * (40 - true)
    assert table.keeps_its_promise(results, settings) is kept
    table.write_table(tmp_path / "table.md", results, [settings.window_rows], drifts, settings)
    text = Path(tmp_path / "table.md").read_text()
    assert f"| 500 | yes | {100 * 2 * false / 120:.1f} % of 120" in text
    assert "| rotated | 20 degrees * | 67, 100 | KL, latents |" in text
