"""Run the whole pipeline by `dvc repro`. If no data source answers, use the digits that scikit-learn contains."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from vaeline.artifacts import atomic_file
from vaeline.data.sources import UNREACHABLE
from vaeline.dvc_files import drop_corrupt_outputs, mend_dvc_files
from vaeline.errors import VaelineError
from vaeline.outputs import REGISTRATION
from vaeline.params.base import flatten, load_sections, nest
from vaeline.params.whole import Params, change_params, read_params
from vaeline.processes import end_work, raising, redacted
from vaeline.tracking.checkpoints import drop_recorded_checkpoints
from vaeline.tracking.locks import LOCK_FILE
from vaeline.tracking.repository import repository_root

PRESETS = Path("presets")
DEFAULT = "default.yaml"
FALLBACK = "digits"
WRITTEN_BY_DVC = (Path(".dvc/tmp"), Path(".dvc/cache/files/md5"))
DVC_LOCKS = (Path(".dvc/tmp/lock"), Path(".dvc/tmp/rwlock"))
CTRL_C, TO_END = 10, 30  # seconds for DVC and its stages to end by themselves


def apply_preset(name: str) -> None:
    """Write the values of `presets/<name>.yaml` into `params.yaml`.

    A preset of the model starts from `presets/default.yaml`, so that no value of an earlier preset remains.

    Raises:
        VaelineError: there is no such preset.
    """
    presets = {str(preset.relative_to(PRESETS).with_suffix("")): preset for preset in PRESETS.rglob("*.yaml")}
    if name not in presets:
        raise VaelineError(f"there is no preset {name!r}; the presets are: {', '.join(sorted(presets))}")
    values = _read_preset(presets[name])
    about_the_model = any(key.startswith(("model.", "train.")) for key in values)
    change_params((_read_preset(PRESETS / DEFAULT) if about_the_model else {}) | values)
    print(f"vaeline: params.yaml now holds the preset {name}", flush=True)


def write_preset(name: str, params: Params, values: Mapping[str, Any], comment: str) -> Path:
    """Write `presets/<name>.yaml`: the model and the training of `params` with some dotted keys changed.

    Only what differs from `presets/default.yaml` is written.
    """
    usual, file = _read_preset(PRESETS / DEFAULT), PRESETS / f"{name}.yaml"
    present = flatten(params.model_dump(by_alias=True)) | dict(values)
    changed = {key: value for key, value in present.items() if key in usual and value != usual[key]}
    with atomic_file(file) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write(f"# {comment}\n")
        YAML().dump(nest(changed), stream)
    return file


def run_pipeline() -> bool:
    """Run `dvc repro`. If no data source answers, say so and run it on the digits that scikit-learn contains.

    Returns whether the last stage ran. If so, it has printed the summary.

    Raises:
        VaelineError: params.yaml is wrong, or a stage failed. The stage has printed the reason.
    """
    read_params()  # DVC has no limit for what the aliases of its files stand for
    before = _written(Path(REGISTRATION))
    UNREACHABLE.unlink(missing_ok=True)
    began = time.time()
    status = _dvc("repro")
    if drop_corrupt_outputs(began):
        status = _dvc("repro")
    if status and UNREACHABLE.exists():
        wanted = read_params().data.dataset
        change_params({"data.dataset": FALLBACK})
        print(
            f"\n{'=' * 100}\nNO SOURCE OF {wanted} COULD BE REACHED. The model is now trained on the UCI digits from "
            f"scikit-learn,\nNOT on {wanted}: params.yaml now says data.dataset: {FALLBACK}. To go back, set it to "
            f"{wanted}\nand set VAELINE_MIRROR to a source.\n{'=' * 100}\n",
            flush=True,
        )
        status = _dvc("repro")
    if status:
        raise VaelineError("the pipeline stopped; the output of the stage above says why")
    drop_recorded_checkpoints()
    return _written(Path(REGISTRATION)) != before


def run_dvc(*arguments: str) -> None:
    """Run a DVC command, which prints to the terminal. Raises VaelineError if it fails."""
    if _dvc(*arguments):
        raise VaelineError(f"`dvc {' '.join(arguments)}` failed; its output above says why")


def push() -> None:
    """Push data, models and the run cache to the DVC remote.

    `dvc push --run-cache` (3.67) leaves out outputs that git keeps, such as the metrics. A stage with such an output
    would run again in the next clone. Therefore they are pushed here. `reports/registration.json` is not pushed,
    because `register` must run once for every store.

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
                wanted = {item for item in objects if item.obj_name != REGISTRATION}
                repo.cloud.push({item for item in wanted if repo.cache.local.exists(item.value)}, odb=store)
    except DvcException as error:
        raise VaelineError(f"the results of earlier runs were not pushed: {error}") from error


def _read_preset(file: Path) -> dict[str, Any]:
    return flatten(load_sections(file))


def _dvc(*arguments: str) -> int:
    """Run DVC to its end, also where this process is asked to end: a DVC that is killed may leave torn files."""
    _require_rights()
    mend_dvc_files()
    command = [sys.executable, "-m", "dvc", *arguments]
    with raising(signal.SIGTERM, signal.SIGHUP), redacted(command) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                process.wait(CTRL_C)  # a terminal sends Ctrl-C to DVC as well
            raise
        finally:
            end_work(process, TO_END)


def _require_rights() -> None:
    """Raise VaelineError or OSError where git does not read the repository, or DVC's own files cannot be written.

    DVC itself calls the latter an unexpected error, and a stage finds the former late.
    """
    repository_root()
    for folder in (Path(), *WRITTEN_BY_DVC):
        if folder.is_dir():
            with tempfile.TemporaryFile(dir=folder):
                pass
    for file in (LOCK_FILE, *DVC_LOCKS):
        if file.is_file():
            file.open("ab").close()


def _written(file: Path) -> int:
    return file.stat().st_mtime_ns if file.is_file() else 0
