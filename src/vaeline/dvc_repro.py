"""The pipeline by one command: `dvc repro`, with a loud way out when no data can be had."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from vaeline.data.sources import UNREACHABLE
from vaeline.errors import VaelineError
from vaeline.params.base import flatten
from vaeline.params.whole import change_params, read_params

PRESETS = Path("presets")
DEFAULT = "default.yaml"
REGISTRATION = Path("reports/registration.json")
FALLBACK = "digits"


def apply_preset(name: str) -> None:
    """Write the values of `presets/<name>.yaml` into `params.yaml`.

    A preset of the model starts from `presets/default.yaml`, so that nothing of an earlier one stays.

    Raises:
        VaelineError: there is no such preset.
    """
    file = PRESETS / f"{name}.yaml"
    if not file.is_file():
        known = ", ".join(
            sorted(str(preset.relative_to(PRESETS).with_suffix("")) for preset in PRESETS.rglob("*.yaml"))
        )
        raise VaelineError(f"no preset {name!r}; there are: {known}")
    values = _read_preset(file)
    about_the_model = any(key.startswith(("model.", "train.")) for key in values)
    change_params((_read_preset(PRESETS / DEFAULT) if about_the_model else {}) | values)
    print(f"vaeline: params.yaml now holds the preset {name}", flush=True)


def run_pipeline() -> bool:
    """Run `dvc repro`; without any source for the data, say so and run it on the digits that scikit-learn ships.

    Returns whether the last stage had anything to do (it prints the summary then).

    Raises:
        VaelineError: a stage failed; it has said why.
    """
    before = _written(REGISTRATION)
    UNREACHABLE.unlink(missing_ok=True)
    status = _dvc("repro")
    if status and UNREACHABLE.exists():
        wanted = read_params().data.dataset
        change_params({"data.dataset": FALLBACK})
        print(
            f"\n{'=' * 100}\nNO SOURCE OF {wanted} COULD BE REACHED. What follows is trained on the UCI digits that "
            f"come with scikit-learn,\nNOT on {wanted}: params.yaml now says data.dataset: {FALLBACK}. To go back, set "
            f"it to {wanted}\nand name a source in VAELINE_MIRROR.\n{'=' * 100}\n",
            flush=True,
        )
        status = _dvc("repro")
    if status:
        raise VaelineError("the pipeline stopped; the stage above says why")
    return _written(REGISTRATION) != before


def run_dvc(*arguments: str) -> None:
    """Run a command of DVC, which says on the terminal what it does. Raises VaelineError where it fails."""
    if _dvc(*arguments):
        raise VaelineError(f"`dvc {' '.join(arguments)}` failed; what it said is above")


def push() -> None:
    """Push data, models and the run cache to the DVC remote.

    `dvc push --run-cache` (3.67) leaves out the outputs that git keeps, such as the metrics, and then a stage that has
    one runs again in the next clone. They follow here; but not the registration, which every store has to be told.

    Raises:
        VaelineError: there is no remote, or it cannot be written.
    """
    run_dvc("push", "--run-cache")
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            entries = [(file.parent.name, file.name) for file in Path(repo.stage_cache.cache_dir).glob("*/*/*")]
            for store, objects in repo.stage_cache.get_used_objs(entries).items():
                wanted = {item for item in objects if item.obj_name != str(REGISTRATION)}
                repo.cloud.push({item for item in wanted if repo.cache.local.exists(item.value)}, odb=store)
    except DvcException as error:
        raise VaelineError(f"the results of earlier runs were not pushed: {error}") from error


def _read_preset(file: Path) -> dict[str, Any]:
    return flatten(YAML(typ="safe").load(file.read_text(encoding="utf-8")))


def _dvc(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], check=False).returncode


def _written(file: Path) -> int:
    return file.stat().st_mtime_ns if file.is_file() else 0
