"""What a run depends on: its train key, code, machine and data. Everything is read from files."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vaeline.artifacts import digest
from vaeline.images.spec import parse_spec
from vaeline.outputs import VALIDATION
from vaeline.own_files import read_json
from vaeline.stages import read_stages, read_values
from vaeline.tracking.ci import ci_tags
from vaeline.tracking.git import git

ENVIRONMENT_LOCK = Path("requirements.lock")
WRITTEN_BY_RUNS = ("dvc.lock", "reports")
PROCESSOR = Path("/proc/cpuinfo")


def train_key() -> str:
    """The train key for the present params.yaml and the files on disk."""
    stage = read_stages()["train"]
    return key_of(stage.command, stage.values(read_values()), {path: digest(Path(path)) for path in stage.deps})


def key_of(command: str, params: Mapping[str, Any], digests: Mapping[str, str]) -> str:
    """SHA-256 of a training's command, parameters and digests of dependencies. Equal keys mean the same training."""
    content = {"cmd": command, "params": params, "deps": digests}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def declared_params() -> dict[str, Any]:
    """The parameters that the stages declare, by dotted key. `dvc.lock` has the same ones after a whole run."""
    values = read_values()
    return {key: value for stage in read_stages().values() for key, value in stage.values(values).items()}


def training_tags() -> dict[str, str]:
    """Tags of a training that runs now: its code and parameters, this machine and the CI job."""
    return code_tags() | machine_tags() | ci_tags()


def code_tags() -> dict[str, str]:
    """Tags of the code behind the model on disk, if it was trained here: train key, environment lock and commit."""
    tags = {"vaeline.train_key": train_key(), "vaeline.environment_sha256": digest(ENVIRONMENT_LOCK)}
    if commit := git("rev-parse", "HEAD"):
        exclusions = [f":(exclude){path}" for path in WRITTEN_BY_RUNS]
        dirty = git("status", "--porcelain", "--", ".", *exclusions)
        tags |= {"mlflow.source.git.commit": commit, "vaeline.git_dirty": str(bool(dirty)).lower()}
    if experiment := os.environ.get("DVC_EXP_NAME"):
        tags["vaeline.dvc_experiment"] = experiment
    return tags


def machine_tags() -> dict[str, str]:
    """Tags of the machine. If all of them are equal, equal trainings give equal bits."""
    return {
        "vaeline.machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "vaeline.processor": _processor(),
        "vaeline.backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "vaeline.python": platform.python_version(),
    }


def data_tags(dataset: str, validation: Mapping[str, Any]) -> dict[str, str]:
    """Tags of a run's data set and of its validation report, which may be empty."""
    return {
        "vaeline.dataset": dataset,
        "vaeline.validation": validation.get("status", "unknown"),
        "vaeline.validation_profile": validation.get("profile", "unknown"),
    }


def image_tags(image: Mapping[str, Any]) -> dict[str, str]:
    """The tag of the size that images have and of how pictures were fitted, from `image` in a manifest."""
    spec = parse_spec(image, "manifest.json")
    return {"vaeline.image": f"{spec}, {spec.fit}, background {spec.background}"}


def read_validation() -> dict[str, Any]:
    """The validation report on disk; empty if there is none."""
    file = Path(VALIDATION)
    return read_json(file) if file.is_file() else {}


def _processor() -> str:
    """The processor's name. Two processors of one architecture may round differently."""
    if PROCESSOR.is_file():
        for line in PROCESSOR.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
