"""One training: the whole pipeline by its own command in a separate clone, and its results."""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient

from vaeline.artifacts import write_json
from vaeline.data.prepared import Prepared, read_prepared
from vaeline.defects.baselines import fit_components
from vaeline.images.arrays import to_unit
from vaeline.models.archive import load_model
from vaeline.params.whole import change_params

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks/quality/results"
SEEDS = (1, 2, 3)
ROWS = 500
CLI = (sys.executable, "-m", "vaeline.cli")
DVC = (sys.executable, "-m", "dvc")

Result = dict[str, Any]


def result(preset: str, changes: dict[str, Any], file: Path, picture: Path | None = None, pictures: str = "") -> Result:
    """The results of `preset` with `changes`; read from `file` if it was made with the same parameters.

    Otherwise the model is trained; one from the cache would have no minutes. A figure of its samples goes to `picture`.
    `pictures` names a folder in `data/own` to train on, instead of the data set of the parameters.
    """
    with scratch_clone() as clone:
        run(clone, *CLI, "preset", preset)
        change_params(changes, clone / "params.yaml")
        settings = _settings(clone)
        if file.is_file() and (known := read(file))["params"] == settings:
            return known
        if pictures:
            use_pictures(clone, pictures)
        run(clone, *DVC, "repro", "classify")
        run(clone, *DVC, "repro", "--single-item", "--force", "train")
        run(clone, *CLI, "run")
        write_json(file, {"params": settings, "preset": preset, **_measured(clone)})
        if picture:
            picture.parent.mkdir(exist_ok=True)
            shutil.copy(clone / "reports/figures/samples.png", picture)
    return read(file)


@contextmanager
def scratch_clone() -> Iterator[Path]:
    """A clone that is deleted afterwards. It uses this repository's DVC cache, so fetching and preparing run once."""
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch) / "vaeline"
        run(ROOT, "git", "clone", "--quiet", str(ROOT), str(clone))
        run(clone, *DVC, "cache", "dir", "--local", str(ROOT / ".dvc/cache"))
        yield clone


def use_pictures(clone: Path, name: str) -> None:
    """Train on the pictures of this checkout's `data/own/<name>`, with a profile of their own.

    Raises:
        SystemExit: there is no such folder.
    """
    source = ROOT / "data/own" / name
    if not source.is_dir():
        sys.exit(f"{source}: not found; unpack the pictures there")
    (clone / "data/own" / name).symlink_to(source)
    change_params({"data.dataset": f"data/own/{name}"}, clone / "params.yaml")
    run(clone, *DVC, "repro", "prepare")
    run(clone, *CLI, "profile", "data/prepared", "--name", name)


def run(folder: Path, *command: str) -> None:
    """Run a command with the code in `folder`, not with that of a checkout that is being edited."""
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, "PYTHONPATH": str(folder / "src")})


def read(file: Path) -> Result:
    """A result that was written before."""
    return json.loads(file.read_text(encoding="utf-8"))


def _measured(clone: Path) -> Result:
    client = MlflowClient(f"sqlite:///{clone}/mlflow.db")
    prepared = read_prepared(clone / "data/prepared")
    experiment = client.get_experiment_by_name(f"vae-{prepared.manifest['name']}")
    (run,) = client.search_runs([experiment.experiment_id])
    seconds = sum(metric.value for metric in client.get_metric_history(run.info.run_id, "train/epoch_seconds"))
    metrics = read(clone / "reports/metrics.json")
    model = load_model(clone / "models/vae.keras")
    return {
        "commit": run.data.tags["mlflow.source.git.commit"],
        "machine": run.data.tags["vaeline.machine"],
        "minutes": round(seconds / 60, 2),
        "parameters": model.count_params(),
        "data": prepared.manifest["name"],
        "components_mse": components_mse(prepared, model.params.latent_dim),
        "metrics": {name: group for name, group in metrics.items() if name not in ("per_class", "protocol")},
    }


def components_mse(prepared: Prepared, count: int) -> float:
    """The mean squared error of the test images, drawn by as many principal components of the training images."""
    components = fit_components(prepared.splits["train"].images, count, seed=1)
    test = prepared.splits["test"].images
    parts = (to_unit(test[start : start + ROWS]) for start in range(0, len(test), ROWS))
    return float(
        sum(np.square(components.reconstruct(part) - part).sum(dtype="float64") for part in parts)
        / math.prod(test.shape)
    )


def _settings(clone: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML

    params = YAML(typ="safe").load((clone / "params.yaml").read_text(encoding="utf-8"))
    return {section: params[section] for section in ("compute", "model", "train", "evaluate")}
