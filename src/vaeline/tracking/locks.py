"""Read a `dvc.lock`: the command, the parameters and the md5s of dependencies and outputs of each stage."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from vaeline.artifacts import digest
from vaeline.errors import VaelineError
from vaeline.outputs import MODEL, PREPARED, RAW
from vaeline.params.base import PARAMS_FILE, flatten
from vaeline.params.yaml_text import parse_yaml

LOCK_FILE = Path("dvc.lock")

Stages = Mapping[str, Any]


def read_lock(text: str | bytes) -> Stages:
    """The stages in the text of a `dvc.lock`.

    Raises:
        ValueError: the text is not a valid `dvc.lock`, for example after an unfinished merge.
    """
    return _read_lock(text)


def lock_digest(stages: Stages) -> str:
    """SHA-256 of all stages but `register`, which has not run yet when a run records its lock."""
    known = {name: entry for name, entry in stages.items() if name != "register"}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def lock_tags(stages: Stages) -> dict[str, str]:
    """Tags of a run from its lock: the lock's digest, and the md5s of the dependencies and outputs of the training."""
    inputs = deps(stages, "train") | {path: md5 for path, md5 in deps(stages, "prepare").items() if path == RAW}
    return (
        {"vaeline.dvc_lock_sha256": lock_digest(stages)}
        | {f"vaeline.deps.{path}": md5 for path, md5 in inputs.items()}
        | {f"vaeline.outs.{path}": md5 for path, md5 in outs(stages, "train").items()}
    )


def deps(stages: Stages, stage: str) -> dict[str, str]:
    """The md5 of each dependency of a stage, by path."""
    return {entry["path"]: entry["md5"] for entry in stages.get(stage, {}).get("deps", [])}


def outs(stages: Stages, stage: str) -> dict[str, str]:
    """The md5 of each output of a stage, by path."""
    return {entry["path"]: entry["md5"] for entry in stages.get(stage, {}).get("outs", [])}


def stages_without(stages: Stages, path: str) -> list[str]:
    """The stages that neither make `path` nor depend on it, directly or through others."""
    touched, left, before = {path}, list(stages), -1
    while len(left) != before:
        before = len(left)
        for name in [name for name in left if touched & {*deps(stages, name), *outs(stages, name)}]:
            left.remove(name)
            touched |= outs(stages, name).keys()
    return left


def params(stages: Stages, *names: str) -> dict[str, Any]:
    """The parameters of these stages, or of all stages, by dotted key."""
    found: dict[str, Any] = {}
    for name in names or stages:
        found |= flatten(stages.get(name, {}).get("params", {}).get(PARAMS_FILE.name, {}))
    return found


def code(stages: Stages, stage: str) -> dict[str, str]:
    """The md5 by path of the dependencies that no stage makes. A commit should contain these files."""
    made = {path for name in stages for path in outs(stages, name)}
    return {path: md5 for path, md5 in deps(stages, stage).items() if path not in made}


def is_about_its_model(stages: Stages, stage: str) -> bool:
    """Whether a stage used the model that the same lock records."""
    return MODEL in deps(stages, stage) and deps(stages, stage)[MODEL] == outs(stages, "train").get(MODEL)


def locked_stages() -> Stages:
    """The stages of the `dvc.lock` on disk; empty if there is none.

    Raises:
        VaelineError: it cannot be read.
    """
    try:
        return read_lock(LOCK_FILE.read_bytes()) if LOCK_FILE.is_file() else {}
    except ValueError as error:
        raise VaelineError(f"{LOCK_FILE}: {error}; `vaeline run` mends a torn one") from None


def locked_stage(name: str) -> dict[str, Any]:
    """The entry of a stage in `dvc.lock`; empty if there is none."""
    return locked_stages().get(name, {})


def is_current(stage: str) -> bool:
    """Whether the outputs of `stage` on disk are those that `dvc.lock` records for the present model and data."""
    recorded = locked_stage(stage)
    files = [*recorded.get("deps", []), *recorded.get("outs", [])]
    plain = [entry for entry in files if not entry["md5"].endswith(".dir")]
    return bool(recorded) and all(
        Path(entry["path"]).is_file() and digest(Path(entry["path"]), "md5") == entry["md5"] for entry in plain
    )


def data_md5() -> str:
    """DVC's md5 of the prepared data; empty before `prepare` has been recorded."""
    return next((entry["md5"] for entry in locked_stage("prepare").get("outs", [])), "")


def data_behind(stage: str, output: Path) -> str:
    """DVC's md5 of the prepared data behind `output`; empty unless `dvc.lock` records the present file."""
    recorded = locked_stage(stage)
    outs = {entry["path"]: entry["md5"] for entry in recorded.get("outs", [])}
    if not output.is_file() or outs.get(output.as_posix()) != digest(output, "md5"):
        return ""
    return next((entry["md5"] for entry in recorded.get("deps", []) if entry["path"] == PREPARED), "")


@lru_cache(maxsize=64)
def _read_lock(text: str | bytes) -> Stages:
    try:
        stages = parse_yaml(text, str(LOCK_FILE))["stages"]
        for entry in stages.values():
            if any("md5" not in file for file in [*entry.get("deps", []), *entry.get("outs", [])]):
                raise KeyError("md5")
        return {name: {**entry, "cmd": entry["cmd"]} for name, entry in stages.items()}
    except (VaelineError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a valid dvc.lock: {' '.join(str(error).split())[:100]}") from None
