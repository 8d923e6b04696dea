"""How thresholds follow from seeds, and a small measurement."""

import numpy as np
import pytest

from vaeline.classifier.network import Classifier
from vaeline.data.sources import MNIST_IMAGE
from vaeline.gate.statistics import gain_of_chance
from vaeline.thresholds import seeds as trainings
from vaeline.thresholds.measure import floor_of, gate_thresholds, least_effects, measure_thresholds, round_up
from vaeline.thresholds.seeds import SeedScores, spread

KNOWN = {"kl": 5.0, "active_units": 4, "precision": 0.5, "recall": None, "auroc": 0.9}


@pytest.mark.parametrize(("value", "rounded"), [(1.0701, 1.1), (8.12, 8.2), (0.01234, 0.013), (123.4, 130.0), (0, 0)])
def test_thresholds_are_rounded_up_to_two_digits(value, rounded):
    assert round_up(value) == rounded


def test_a_floor_is_below_what_another_seed_reaches():
    values = [0.50, 0.52, 0.54]
    assert floor_of(values, 0.95) == pytest.approx(0.5 - gain_of_chance(values, 0.95), abs=0.01)
    assert floor_of([3, 4, 4], 0.95) == 0
    assert floor_of([4, 4, 4], 0.95) == 4
    assert isinstance(floor_of([4, 4, 4], 0.95), int)
    assert floor_of([0.5, None, 0.5], 0.95) == 0
    assert floor_of([0.1, 0.9, 0.5], 0.95) == 0


@pytest.mark.parametrize(("metric", "sign"), [("nll_bound", 1), ("knn_accuracy", -1)])
def test_the_gate_refuses_what_is_worse_than_the_worst_seed(params, metric, sign):
    gate = params.gate.model_copy(update={"metric": metric})
    values = np.array([[10.0, 12], [11, 13], [10.5, 12.5]])
    scores = SeedScores([1, 2, 3], values, np.array([0, 1]))
    found = gate_thresholds(spread(scores, gate), values.mean(axis=1), [KNOWN, KNOWN, KNOWN], gate)
    chance = gain_of_chance(values.mean(axis=1), gate.confidence)
    worst_mean = 12.0 if sign == 1 else 11.0
    assert found.worst == pytest.approx(worst_mean + sign * chance, abs=1e-3)
    assert found.min_gain == found.margin == round_up(chance)
    assert found.slice_margin > found.min_gain
    assert found.floors.model_dump() == {"kl": 5.0, "active_units": 4, "precision": 0.5, "recall": 0, "auroc": 0.9}


def test_a_least_effect_is_seldom_reached_by_clean_windows():
    rng = np.random.default_rng(1)
    effects = {name: rng.uniform(0, 0.4, 1000) for name in ("scores", "unusual", "latents", "class_mix")}
    found = least_effects(effects | {"labels": np.zeros(1000)})
    assert found.labels == 0.02
    for name, values in effects.items():
        assert 0.02 < (values > getattr(found, name)).mean() <= 0.05


@pytest.mark.usefixtures("training")
def test_a_measurement_goes_on_where_it_was_and_its_thresholds_pass_another_seed(
    params, prepared, tmp_path, monkeypatch
):
    model = params.model.model_copy(update={"architecture": "resmlp", "width": 16, "depth": 1})
    train = params.train.model_copy(update={"epochs": 1, "batch_size": 98, "jit_compile": False, "min_kl": 0.0})
    gate = params.gate.model_copy(update={"nll_images": 60, "nll_samples": 5})
    evaluate = params.evaluate.model_copy(update={"samples": 60, "reference_images": 100, "grid_points": 16})
    small = params.model_copy(update={"model": model, "train": train, "gate": gate, "evaluate": evaluate})
    classifier = Classifier(image=MNIST_IMAGE, classes=10, width=4)
    found = measure_thresholds(small, prepared, classifier, "a", 3, tmp_path)
    assert (found.measured_on.dataset, found.measured_on.seeds) == ("digits", 3)
    assert 0 < found.measured_on.deviation < found.gate.min_gain < 50
    assert found.measured_on.mean < found.gate.worst < 2 * found.measured_on.mean
    assert all(0.02 <= effect < 0.5 for effect in found.monitor.least_effects.model_dump().values())

    monkeypatch.setattr(trainings, "fit", lambda *arguments: pytest.fail("a seed was trained again"))
    assert measure_thresholds(small, prepared, classifier, "a", 3, tmp_path) == found
