"""What a run is made of: its training key, its code, its machine and its data, read from files alone."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vaeline.artifacts import digest
from vaeline.outputs import VALIDATION
from vaeline.stages import read_stages, read_values
from vaeline.tracking.ci import ci_tags
from vaeline.tracking.git import git

ENVIRONMENT_LOCK = Path("requirements.lock")
WRITTEN_BY_RUNS = ("dvc.lock", "reports")
PROCESSOR = Path("/proc/cpuinfo")


def train_key() -> str:
    """The key of the training that params.yaml and the files on disk ask for."""
    stage = read_stages()["train"]
    return key_of(stage.command, stage.values(read_values()), {path: digest(Path(path)) for path in stage.deps})


def key_of(command: str, params: Mapping[str, Any], digests: Mapping[str, str]) -> str:
    """SHA-256 of a training's command, parameters and dependencies' SHA-256: equal keys, equal training."""
    content = {"cmd": command, "params": params, "deps": digests}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def declared_params() -> dict[str, Any]:
    """The parameters that all stages declare, with dotted keys: what `dvc.lock` holds after a whole run."""
    values = read_values()
    return {key: value for stage in read_stages().values() for key, value in stage.values(values).items()}


def training_tags() -> dict[str, str]:
    """Where a training that runs now comes from: its code and parameters, this machine and the CI job that runs it."""
    return code_tags() | machine_tags() | ci_tags()


def code_tags() -> dict[str, str]:
    """What the model on disk was made of, if it was made here: key, environment lock and commit."""
    tags = {"vaeline.train_key": train_key(), "vaeline.environment_sha256": digest(ENVIRONMENT_LOCK)}
    if commit := git("rev-parse", "HEAD"):
        exclusions = [f":(exclude){path}" for path in WRITTEN_BY_RUNS]
        dirty = git("status", "--porcelain", "--", ".", *exclusions)
        tags |= {"mlflow.source.git.commit": commit, "vaeline.git_dirty": str(bool(dirty)).lower()}
    if experiment := os.environ.get("DVC_EXP_NAME"):
        tags["vaeline.dvc_experiment"] = experiment
    return tags


def machine_tags() -> dict[str, str]:
    """What the arithmetic runs on: where all of these are equal, equal trainings give equal bits."""
    return {
        "vaeline.machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "vaeline.processor": _processor(),
        "vaeline.backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "vaeline.python": platform.python_version(),
    }


def data_tags(dataset: str, validation: Mapping[str, Any]) -> dict[str, str]:
    """Which data set a run is about, and what the gate's report (empty where there is none) said of it."""
    return {
        "vaeline.dataset": dataset,
        "vaeline.validation": validation.get("status", "unknown"),
        "vaeline.validation_profile": validation.get("profile", "unknown"),
    }


def read_validation() -> dict[str, Any]:
    """The report of the gate on disk; empty where there is none."""
    file = Path(VALIDATION)
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _processor() -> str:
    """The processor's name: two kinds of one architecture round differently."""
    if PROCESSOR.is_file():
        for line in PROCESSOR.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
