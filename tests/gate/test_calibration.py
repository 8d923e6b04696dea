"""The benchmark that calibrates the gate, on made-up seeds whose truth is known: it finds what it is to find."""

import importlib
import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT

from vaeline.gate.statistics import gain_of_chance, label_loss_of_chance
from vaeline.thresholds.seeds import spread

COUNT, SEEDS, SCATTER = 3000, 10, 0.4


@pytest.fixture(scope="module")
def benchmark():
    """The benchmark's modules, which are no part of the package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("gate.calibration"), importlib.import_module("gate.seeds")


@pytest.fixture(scope="module")
def scores(benchmark):
    rng = np.random.default_rng(5)
    labels = np.arange(COUNT) % 10
    hardness = rng.normal(131, 40, COUNT)
    offsets = rng.normal(0, SCATTER, (SEEDS, 1)) + rng.normal(0, 0.5, (SEEDS, 10))[:, labels]
    values = hardness + offsets + rng.normal(0, 5, (SEEDS, COUNT))
    return benchmark[1].TimedSeeds(list(range(SEEDS)), values, labels, [2.5] * SEEDS, {"test": "a"})


@pytest.fixture(scope="module")
def calibrated(benchmark, scores, params):
    calibration, _ = benchmark
    found = spread(scores, params.gate)
    changes = {"min_gain": found.min_gain, "margin": found.min_gain, "slice_margin": found.slice_margin}
    gate = params.gate.model_copy(update=changes | {"resamples": 100})
    return found, gate, {row.rule: row for row in calibration.calibrate(scores, gate, 180)}


def share(verdicts):
    return verdicts.count("pass") / len(verdicts)


def test_the_suggested_thresholds_keep_the_promise(calibrated, benchmark):
    found, _, rows = calibrated
    assert found.min_gain == pytest.approx(1.8331 * np.sqrt(2) * found.deviation, rel=1e-3)
    assert SCATTER / 2 < found.deviation < 2 * SCATTER
    for rule in (benchmark[0].GATE, benchmark[0].HELD_OUT):
        assert len(rows[rule].equal) >= 180
        assert share(rows[rule].equal) <= 0.05
        assert share(rows[rule].better) >= 0.9
    assert benchmark[0].keeps_its_promise(list(rows.values()))


def test_one_seed_of_a_better_configuration_is_promoted_less_often_than_a_better_model(calibrated, benchmark):
    row = calibrated[2][benchmark[0].GATE]
    assert 0.6 < share(row.better_configuration) < share(row.better)


def test_comparing_means_promotes_every_second_equal(calibrated, benchmark):
    rows = calibrated[2]
    assert share(rows[benchmark[0].NAIVE].equal) == pytest.approx(0.5, abs=0.05)
    assert share(rows[benchmark[0].UNAIDED].equal) > 0.2, "a bound over images alone takes a seed for progress"


def test_three_seeds_promote_equals_no_more_often_than_one(calibrated, benchmark):
    rows = calibrated[2]
    assert share(rows[benchmark[0].SEEDS].equal) <= share(rows[benchmark[0].GATE].equal)


def test_a_gate_that_asks_for_too_little_or_too_much_breaks_the_promise(benchmark, scores, calibrated):
    calibration, _ = benchmark
    few = replace(scores, seeds=scores.seeds[:3], values=scores.values[:3])
    for changes, kept in (({}, True), ({"min_gain": 0.0}, False), ({"slice_margin": 0.1}, False)):
        rows = calibration.calibrate(few, calibrated[1].model_copy(update=changes), 30)
        assert calibration.keeps_its_promise(rows) is kept


def test_the_table_and_the_seeds_are_written_with_what_they_were_made_of(
    benchmark, scores, calibrated, params, tmp_path
):
    calibration, seeds = benchmark
    found, gate, rows = calibrated
    calibration.write_table(tmp_path / "table.md", list(rows.values()), scores, gate, found)
    table = (tmp_path / "table.md").read_text()
    assert f"Verdicts on {len(rows[calibration.GATE].equal)} pairs of trainings" in table
    assert all(f"\n| {rule} | " in table for rule in rows)
    seeds.write_seeds(tmp_path / "seeds.json", "default", params, scores, found)
    content = json.loads((tmp_path / "seeds.json").read_text())
    assert content["spread"]["min_gain"] == pytest.approx(found.min_gain, abs=1e-5)
    assert len(content["seeds"]) == SEEDS
    assert len(content["seeds"]["0"]["classes"]) == 10
    assert "seed" not in content["params"]["train"]


def test_the_thresholds_are_those_that_the_measured_seeds_of_the_default_preset_suggest(params):
    content = json.loads((ROOT / "benchmarks/gate/seeds.json").read_text())
    found, gate = list(content["seeds"].values()), params.gate
    assert len(found) >= 10
    assert content["metric"] == gate.metric
    assert content["params"] == {"model": params.model.model_dump(), "train": params.train.model_dump(exclude={"seed"})}
    min_gain = gain_of_chance([seed["mean"] for seed in found], gate.confidence)
    slice_margin = label_loss_of_chance(np.array([seed["classes"] for seed in found]), gate.confidence)
    assert content["spread"]["min_gain"] == pytest.approx(min_gain, abs=1e-5)
    for chosen, suggested in ((gate.min_gain, min_gain), (gate.margin, min_gain), (gate.slice_margin, slice_margin)):
        assert suggested <= chosen < suggested + 0.1
