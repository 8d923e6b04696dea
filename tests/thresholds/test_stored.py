"""The file of a data set's thresholds: who uses it, and what is refused."""

import pytest

from vaeline.errors import VaelineError
from vaeline.params.gate import SetGateFloors
from vaeline.params.monitor import LeastEffects
from vaeline.thresholds.stored import (
    GateThresholds,
    MeasuredOn,
    MonitorThresholds,
    Thresholds,
    read_thresholds,
    with_gate_thresholds,
    with_monitor_thresholds,
    write_thresholds,
)

FLOORS = SetGateFloors(kl=1.5, active_units=3, precision=0.4, recall=0.1, auroc=0.6)
EFFECTS = LeastEffects(scores=0.12, unusual=0.04, latents=0.2, class_mix=0.15, labels=0.11)


@pytest.fixture
def stored(params, tmp_path):
    about = MeasuredOn(dataset="tiles", test_images_sha256="a", model="vae", seeds=3, mean=9.0, deviation=0.5, epochs=2)
    gate = GateThresholds(
        metric=params.gate.metric, min_gain=2.5, margin=2.6, slice_margin=7.0, worst=99.0, floors=FLOORS
    )
    found = Thresholds(measured_on=about, gate=gate, monitor=MonitorThresholds(least_effects=EFFECTS))
    write_thresholds(found, tmp_path)
    return found


def test_a_file_is_read_as_it_was_written(stored, tmp_path):
    assert read_thresholds("tiles", tmp_path) == stored
    assert (tmp_path / "tiles.yaml").read_text().startswith("# Thresholds of the gate and of the monitor for tiles")


def test_the_thresholds_of_params_yaml_are_for_their_own_data_set(params, tmp_path):
    assert params.gate.measured_on == params.monitor.measured_on == "mnist"
    assert with_gate_thresholds(params, "mnist", tmp_path) is params
    assert with_monitor_thresholds(params, "mnist", tmp_path) is params


@pytest.mark.parametrize(("use", "section"), [(with_gate_thresholds, "gate"), (with_monitor_thresholds, "monitor")])
def test_other_data_without_a_file_are_refused_with_the_command(params, tmp_path, use, section):
    with pytest.raises(VaelineError, match=rf"on mnist \({section}.measured_on\), not on tiles; `vaeline thresholds`"):
        use(params, "tiles", tmp_path)


def test_the_gate_and_the_monitor_use_the_file_and_keep_what_it_lacks(params, stored, tmp_path):
    gate = with_gate_thresholds(params, "tiles", tmp_path).gate
    assert (gate.measured_on, gate.min_gain, gate.margin, gate.slice_margin, gate.worst) == ("tiles", 2.5, 2.6, 7.0, 99)
    assert gate.floors == FLOORS
    assert (gate.budget, gate.confidence) == (params.gate.budget, params.gate.confidence)
    monitor = with_monitor_thresholds(params, "tiles", tmp_path).monitor
    assert (monitor.least_effects, monitor.alpha) == (EFFECTS, params.monitor.alpha)


def test_thresholds_of_another_metric_are_refused(params, stored, tmp_path):
    other = params.model_copy(update={"gate": params.gate.model_copy(update={"metric": "mse"})})
    with pytest.raises(VaelineError, match=r"tiles.yaml: the thresholds are for nll_bound, but gate.metric is mse"):
        with_gate_thresholds(other, "tiles", tmp_path)


def test_a_misspelt_key_is_named(params, stored, tmp_path):
    file = tmp_path / "tiles.yaml"
    file.write_text(file.read_text().replace("min_gain", "min_gian"))
    with pytest.raises(VaelineError, match=r"tiles.yaml: .*'gate.min_gian'; did you mean 'min_gain'"):
        with_gate_thresholds(params, "tiles", tmp_path)
