"""What a run is made of: repository, commit, parameters and dependencies, read from files alone."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from vaeline.artifacts import digest
from vaeline.params import PARAMS_FILE, flatten

DVC_FILE = Path("dvc.yaml")
LOCK_FILE = Path("dvc.lock")
ENVIRONMENT_LOCK = Path("requirements.lock")
VALIDATION = Path("reports/validation.json")
WRITTEN_BY_RUNS = ("dvc.lock", "reports")


def repository_root() -> Path:
    """The main checkout: the same from a git worktree and from a temporary `dvc exp run` workspace.

    DVC tells its stages the real root in `DVC_ROOT`; git knows the main checkout of a worktree; a copy without git
    is its own root.
    """
    start = Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()
    common = _git("rev-parse", "--path-format=absolute", "--git-common-dir", cwd=start)
    if common and (Path(common).parent / DVC_FILE).is_file():
        return Path(common).parent
    return next((folder for folder in (start, *start.parents) if (folder / DVC_FILE).is_file()), start)


def train_key() -> str:
    """SHA-256 of the train stage's command, parameters and dependency digests: equal keys, equal training."""
    stage = _stages()["train"]
    content = {
        "cmd": stage["cmd"],
        "params": _param_values(stage),
        "deps": {path: digest(Path(path)) for path in sorted(stage["deps"])},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def declared_params() -> dict[str, Any]:
    """The parameters that all stages declare, with dotted keys: what `dvc.lock` holds after a whole run."""
    return {key: value for stage in _stages().values() for key, value in _param_values(stage).items()}


def locked_stage(name: str) -> dict[str, Any]:
    """The entry of a stage in `dvc.lock`; empty where there is none."""
    return _locked_stages().get(name, {})


def is_current(stage: str) -> bool:
    """Whether the outputs of `stage` on disk are those that `dvc.lock` records for the present model and data."""
    recorded = locked_stage(stage)
    files = [*recorded.get("deps", []), *recorded.get("outs", [])]
    plain = [entry for entry in files if not entry["md5"].endswith(".dir")]
    return bool(recorded) and all(
        Path(entry["path"]).is_file() and digest(Path(entry["path"]), "md5") == entry["md5"] for entry in plain
    )


def training_tags() -> dict[str, str]:
    """Where a training comes from: its key, commit, environment and machine."""
    tags = {
        "vaeline.train_key": train_key(),
        "vaeline.environment_sha256": digest(ENVIRONMENT_LOCK),
        "vaeline.python": platform.python_version(),
        "vaeline.machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
    }
    if commit := _git("rev-parse", "HEAD"):
        exclusions = [f":(exclude){path}" for path in WRITTEN_BY_RUNS]
        dirty = _git("status", "--porcelain", "--", ".", *exclusions)
        tags |= {"mlflow.source.git.commit": commit, "vaeline.git_dirty": str(bool(dirty)).lower()}
    if experiment := os.environ.get("DVC_EXP_NAME"):
        tags["vaeline.dvc_experiment"] = experiment
    return tags


def lock_tags() -> dict[str, str]:
    """What `dvc.lock` knows once training is over: its own digest and those of the training's dependencies."""
    deps = locked_stage("train").get("deps", [])
    return {"vaeline.dvc_lock_sha256": dvc_lock_digest()} | {
        f"vaeline.deps.{entry['path']}": entry["md5"] for entry in deps
    }


def data_tags(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Which data set a run is about, and what the gate said of it."""
    validation = json.loads(VALIDATION.read_text(encoding="utf-8")) if VALIDATION.is_file() else {}
    return {
        "vaeline.dataset": manifest["dataset"],
        "vaeline.validation": validation.get("status", "unknown"),
        "vaeline.validation_profile": validation.get("profile", "unknown"),
    }


def dvc_lock_digest() -> str:
    """SHA-256 of the content of `dvc.lock` without its `register` entry, which a run cannot know yet."""
    stages = {name: entry for name, entry in _locked_stages().items() if name != "register"}
    return hashlib.sha256(json.dumps(stages, sort_keys=True).encode()).hexdigest()


def data_md5() -> str:
    """DVC's md5 of the prepared data; empty before `prepare` has been recorded."""
    return next((entry["md5"] for entry in locked_stage("prepare").get("outs", [])), "")


def data_behind(stage: str, output: Path) -> str:
    """DVC's md5 of the prepared data that `output` was made from; empty unless `dvc.lock` knows it as it is now."""
    recorded = locked_stage(stage)
    outs = {entry["path"]: entry["md5"] for entry in recorded.get("outs", [])}
    if not output.is_file() or outs.get(output.as_posix()) != digest(output, "md5"):
        return ""
    return next((entry["md5"] for entry in recorded.get("deps", []) if entry["path"] == "data/prepared"), "")


def _param_values(stage: dict[str, Any]) -> dict[str, Any]:
    values = flatten(YAML(typ="safe").load(PARAMS_FILE.read_text(encoding="utf-8")))
    declared = tuple(f"{key}." for key in stage.get("params", []))
    return {key: value for key, value in values.items() if f"{key}.".startswith(declared)}


def _stages() -> dict[str, Any]:
    return YAML(typ="safe").load(DVC_FILE.read_text(encoding="utf-8"))["stages"]


def _locked_stages() -> dict[str, Any]:
    if not LOCK_FILE.is_file():
        return {}
    return (YAML(typ="safe").load(LOCK_FILE.read_text(encoding="utf-8")) or {}).get("stages", {})


def _git(*arguments: str, cwd: Path | None = None) -> str:
    """Output of a git command; empty where git or a repository is missing."""
    try:
        done = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
