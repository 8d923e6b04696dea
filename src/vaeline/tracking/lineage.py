"""What a run is made of: repository, commit, parameters and dependencies, read from files alone."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vaeline.artifacts import digest
from vaeline.stages import DVC_FILE, read_stages, read_values
from vaeline.tracking.git import git
from vaeline.tracking.locks import Stages, read_lock

LOCK_FILE = Path("dvc.lock")
ENVIRONMENT_LOCK = Path("requirements.lock")
VALIDATION = Path("reports/validation.json")
WRITTEN_BY_RUNS = ("dvc.lock", "reports")
PROCESSOR = Path("/proc/cpuinfo")


def repository_root() -> Path:
    """The main checkout: the same from a git worktree and from a temporary `dvc exp run` workspace.

    DVC tells its stages the real root in `DVC_ROOT`; git knows the main checkout of a worktree; a copy without git
    is its own root.
    """
    start = Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()
    common = git("rev-parse", "--path-format=absolute", "--git-common-dir", cwd=start)
    if common and (Path(common).parent / DVC_FILE).is_file():
        return Path(common).parent
    return next((folder for folder in (start, *start.parents) if (folder / DVC_FILE).is_file()), start)


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


def locked_stage(name: str) -> dict[str, Any]:
    """The entry of a stage in `dvc.lock`; empty where there is none."""
    return locked_stages().get(name, {})


def is_current(stage: str) -> bool:
    """Whether the outputs of `stage` on disk are those that `dvc.lock` records for the present model and data."""
    recorded = locked_stage(stage)
    files = [*recorded.get("deps", []), *recorded.get("outs", [])]
    plain = [entry for entry in files if not entry["md5"].endswith(".dir")]
    return bool(recorded) and all(
        Path(entry["path"]).is_file() and digest(Path(entry["path"]), "md5") == entry["md5"] for entry in plain
    )


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


def ci_tags() -> dict[str, str]:
    """The job of GitHub Actions that this process is part of; empty elsewhere."""
    about = {
        name: os.environ.get(f"GITHUB_{name}", "")
        for name in ("SERVER_URL", "REPOSITORY", "RUN_ID", "RUN_ATTEMPT", "WORKFLOW", "ACTOR")
    }
    if not (about["SERVER_URL"] and about["REPOSITORY"] and about["RUN_ID"]):
        return {}
    address = f"{about['SERVER_URL']}/{about['REPOSITORY']}/actions/runs/{about['RUN_ID']}"
    if about["RUN_ATTEMPT"]:
        address += f"/attempts/{about['RUN_ATTEMPT']}"
    named = {"vaeline.ci_workflow": about["WORKFLOW"], "vaeline.ci_actor": about["ACTOR"]}
    return {"vaeline.ci_url": address} | {tag: value for tag, value in named.items() if value}


def data_tags(dataset: str, validation: Mapping[str, Any]) -> dict[str, str]:
    """Which data set a run is about, and what the gate's report (empty where there is none) said of it."""
    return {
        "vaeline.dataset": dataset,
        "vaeline.validation": validation.get("status", "unknown"),
        "vaeline.validation_profile": validation.get("profile", "unknown"),
    }


def read_validation() -> dict[str, Any]:
    """The report of the gate on disk; empty where there is none."""
    return json.loads(VALIDATION.read_text(encoding="utf-8")) if VALIDATION.is_file() else {}


def locked_stages() -> Stages:
    """The stages of the `dvc.lock` on disk; empty where there is none."""
    return read_lock(LOCK_FILE.read_text(encoding="utf-8")) if LOCK_FILE.is_file() else {}


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


def _processor() -> str:
    """The processor's name: two kinds of one architecture round differently."""
    if PROCESSOR.is_file():
        for line in PROCESSOR.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
