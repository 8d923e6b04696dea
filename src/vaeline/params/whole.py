"""The whole of `params.yaml`: for commands, which check every section; a stage reads only its own ones (`base`)."""

from pathlib import Path

from pydantic import Field, SerializeAsAny
from ruamel.yaml import YAML

from vaeline.artifacts import atomic_file
from vaeline.errors import VaelineError
from vaeline.params.base import PARAMS_FILE, Section, check, keys_of, load, load_sections, nearest
from vaeline.params.classify import ClassifyParams
from vaeline.params.compute import ComputeParams
from vaeline.params.data import DataParams
from vaeline.params.evaluate import EvaluateParams
from vaeline.params.gate import GateParams
from vaeline.params.ingest import IngestParams
from vaeline.params.model import ModelParams, check_sections
from vaeline.params.monitor import MonitorParams
from vaeline.params.plot import PlotParams
from vaeline.params.registry import RegistryParams
from vaeline.params.retrain import RetrainParams
from vaeline.params.train import TrainParams
from vaeline.params.validate import ValidateParams


class Params(Section):
    """All sections of `params.yaml`."""

    data: DataParams
    ingest: IngestParams
    validate_: ValidateParams = Field(alias="validate")
    classify: ClassifyParams
    model: SerializeAsAny[ModelParams]
    train: TrainParams
    evaluate: EvaluateParams
    plot: PlotParams
    gate: GateParams
    registry: RegistryParams
    monitor: MonitorParams
    retrain: RetrainParams
    compute: ComputeParams


def read_params(path: Path = PARAMS_FILE) -> Params:
    """Read and check `params.yaml`.

    Raises:
        VaelineError: the file is missing, is no YAML, or a key is unknown, missing or out of range.
    """
    return parse_params(load(path), str(path))


def parse_params(values: object, where: str = "params.yaml") -> Params:
    """Check nested plain values; `where` names them in an error. Raises VaelineError."""
    if isinstance(values, dict) and isinstance(values.get("model"), dict):
        check_sections(values["model"], where)
    return check(Params, values, where)


def change_params(changes: dict[str, object], path: Path = PARAMS_FILE) -> None:
    """Set dotted keys (`data.dataset`) in `params.yaml`, keeping its comments; checked before it is written.

    Raises:
        VaelineError: a key or value is not valid; the file is then as it was.
    """
    yaml = _yaml_with_comments()
    content = load_sections(path, yaml)
    for dotted, value in changes.items():
        *parents, key = dotted.split(".")
        section = content.get(parents[0]) if parents else content
        for parent in parents[1:]:
            section = section.setdefault(parent, {}) if isinstance(section, dict) else None
        if not isinstance(section, dict):
            known = nearest(parents[0], keys_of(Params))
            raise VaelineError(f"{path}: no section {'.'.join(parents)!r} for {dotted!r}{known}")
        section[key] = value
    parse_params(content, str(path))
    with atomic_file(path) as temporary:
        yaml.dump(content, temporary)


def _yaml_with_comments() -> YAML:
    yaml = YAML()
    yaml.width = 120
    yaml.preserve_quotes = True
    return yaml
