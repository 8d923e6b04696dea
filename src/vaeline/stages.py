"""The stages of the pipeline as dvc.yaml declares them, and their outputs.

A path or command in dvc.yaml may contain a parameter, such as `${model.kind}`. Its value is inserted here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaeline.errors import VaelineError
from vaeline.params.base import PARAMS_FILE, flatten, load_sections, require_sections

DVC_FILE = Path("dvc.yaml")
PARAMETER = re.compile(r"\$\{([\w.]+)\}")


@dataclass(frozen=True)
class Stage:
    """A stage: its command, what it reads (paths, and keys of params.yaml), and what it writes (paths).

    run_folder: the folder of the MLflow run that keeps its outputs; empty if the run keeps none. In dvc.yaml, `meta`.
    """

    command: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]
    run_folder: str = ""

    def values(self, flat: Mapping[str, Any]) -> dict[str, Any]:
        """The values that the stage reads, selected from all values of params.yaml by dotted key."""
        declared = tuple(f"{key}." for key in self.params)
        return {key: value for key, value in flat.items() if f"{key}.".startswith(declared)}


Stages = Mapping[str, Stage]


def read_stages(root: Path = Path()) -> dict[str, Stage]:
    """The stages of the dvc.yaml in `root`, in the order of that file.

    Raises:
        VaelineError: dvc.yaml or params.yaml is missing or not YAML, or dvc.yaml names an unknown parameter.
    """
    where, flat = root / DVC_FILE, read_values(root)
    declared = require_sections(load_sections(where).get("stages"), f"{where}: stages")
    return {name: _stage(require_sections(entry, f"{where}: {name}"), flat, where) for name, entry in declared.items()}


def read_values(root: Path = Path()) -> dict[str, Any]:
    """The values of the params.yaml in `root` by dotted key, unchecked. Raises VaelineError."""
    return flatten(load_sections(root / PARAMS_FILE))


def makers(stages: Stages) -> dict[str, str]:
    """The name of the stage that writes each output, by path."""
    return {path: name for name, stage in stages.items() for path in stage.outs}


def maker(stages: Stages, path: str) -> str:
    """The name of the stage that writes an output. Raises KeyError if no stage does."""
    return makers(stages)[path]


def stages_up_to(stages: Stages, last: str) -> list[str]:
    """The stage `last` and those that it depends on, in the order of `stages`."""
    made, needed, waiting = makers(stages), set(), [last]
    while waiting:
        name = waiting.pop()
        needed.add(name)
        waiting += {made[path] for path in stages[name].deps if path in made} - needed
    return [name for name in stages if name in needed]


def made_deps(stages: Stages, name: str) -> list[str]:
    """What a stage reads and another stage makes, in the order of dvc.yaml."""
    made = makers(stages)
    return [path for path in stages[name].deps if path in made]


def own_deps(stages: Stages, names: Iterable[str]) -> list[str]:
    """What these stages read and no stage writes, sorted: code, and data from outside."""
    made = makers(stages)
    return sorted({path for name in names for path in stages[name].deps if path not in made})


def _stage(entry: Mapping[str, Any], flat: Mapping[str, Any], where: Path) -> Stage:
    def resolve(text: str) -> str:
        return PARAMETER.sub(lambda found: str(_value(found[1], flat, where)), text)

    outs = [path for kind in ("outs", "metrics", "plots") for path in _names(entry.get(kind, []))]
    return Stage(
        command=resolve(entry["cmd"]),
        deps=tuple(resolve(path) for path in _names(entry.get("deps", []))),
        params=tuple(_names(entry.get("params", []))),
        outs=tuple(resolve(path) for path in outs),
        run_folder=entry.get("meta", {}).get("run_folder", ""),
    )


def _value(key: str, flat: Mapping[str, Any], where: Path) -> Any:
    if key not in flat:
        raise VaelineError(f"{where}: uses the parameter {key!r}, but params.yaml does not have it")
    return flat[key]


def _names(entries: Iterable[str | Mapping[str, Any]]) -> list[str]:
    """The names in a list of dvc.yaml. An entry may be a name or a name with options."""
    return [name for entry in entries for name in (entry if isinstance(entry, Mapping) else [entry])]
