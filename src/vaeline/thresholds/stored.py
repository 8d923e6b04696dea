"""The file of a data set's thresholds, `data/thresholds/<data set>.yaml`: written by a measurement, then reviewed.

The thresholds in `params.yaml` hold for the data set that `measured_on` names there. Other data sets have a file.
"""

from pathlib import Path

from ruamel.yaml import YAML

from vaeline.artifacts import atomic_file
from vaeline.errors import VaelineError
from vaeline.params.base import Section, check, load
from vaeline.params.gate import SetGateFloors
from vaeline.params.monitor import LeastEffects
from vaeline.params.whole import Params

FOLDER = Path("data/thresholds")
MEASURE = "`vaeline thresholds` measures them on the data here"
HEAD = """\
# Thresholds of the gate and of the monitor for {dataset}, measured by `vaeline thresholds`.
# Review them, change what you know better, and commit this file. docs/gate.md says where each one comes from.
"""


class MeasuredOn(Section):
    """What the thresholds were measured on: the test images, the model, and how its seeds scored."""

    dataset: str
    test_images_sha256: str
    model: str
    seeds: int
    mean: float
    deviation: float
    epochs: int


class GateThresholds(Section):
    """The thresholds of the gate, in the unit of `metric`."""

    metric: str
    min_gain: float
    margin: float
    slice_margin: float
    worst: float
    floors: SetGateFloors


class MonitorThresholds(Section):
    """The thresholds of the monitor."""

    least_effects: LeastEffects


class Thresholds(Section):
    """All thresholds of a data set."""

    measured_on: MeasuredOn
    gate: GateThresholds
    monitor: MonitorThresholds


def thresholds_file(dataset: str, folder: Path = FOLDER) -> Path:
    """The file of a data set, by its short name."""
    return folder / f"{dataset}.yaml"


def write_thresholds(thresholds: Thresholds, folder: Path = FOLDER) -> Path:
    """Write the file of the data set, atomically, and return its path."""
    file = thresholds_file(thresholds.measured_on.dataset, folder)
    with atomic_file(file) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write(HEAD.format(dataset=thresholds.measured_on.dataset))
        YAML().dump(thresholds.model_dump(), stream)
    return file


def read_thresholds(dataset: str, folder: Path = FOLDER) -> Thresholds:
    """The thresholds of a data set. Raises VaelineError if the file is missing, or a key is wrong."""
    file = thresholds_file(dataset, folder)
    return check(Thresholds, load(file), str(file))


def with_gate_thresholds(params: Params, dataset: str, folder: Path = FOLDER) -> Params:
    """The parameters, with the gate's thresholds for `dataset`.

    Raises:
        VaelineError: there are none for this data set, or they are for another metric than `gate.metric`.
    """
    gate = params.gate
    if gate.measured_on == dataset:
        return params
    found = _require("gate", gate.measured_on, dataset, folder)
    if found.gate.metric != gate.metric:
        raise VaelineError(
            f"{thresholds_file(dataset, folder)}: the thresholds are for {found.gate.metric}, but gate.metric is "
            f"{gate.metric}; {MEASURE}"
        )
    changes = {key: getattr(found.gate, key) for key in ("min_gain", "margin", "slice_margin", "worst", "floors")}
    return params.model_copy(update={"gate": gate.model_copy(update=changes | {"measured_on": dataset})})


def with_monitor_thresholds(params: Params, dataset: str, folder: Path = FOLDER) -> Params:
    """The parameters, with the monitor's thresholds for `dataset`. Raises VaelineError if there are none."""
    monitor = params.monitor
    if monitor.measured_on == dataset:
        return params
    found = _require("monitor", monitor.measured_on, dataset, folder)
    changes = {"measured_on": dataset, "least_effects": found.monitor.least_effects}
    return params.model_copy(update={"monitor": monitor.model_copy(update=changes)})


def _require(section: str, measured_on: str, dataset: str, folder: Path) -> Thresholds:
    if not thresholds_file(dataset, folder).is_file():
        raise VaelineError(
            f"the thresholds of the {section} were measured on {measured_on} ({section}.measured_on), not on "
            f"{dataset}; {MEASURE}, and writes {thresholds_file(dataset, folder)}"
        )
    return read_thresholds(dataset, folder)
