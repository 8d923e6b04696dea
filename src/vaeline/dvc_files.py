"""DVC's own files, which it does not write in one step: a process that is killed may leave one that is torn."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from vaeline.artifacts import atomic_file, digest
from vaeline.data.accepted import BATCHES
from vaeline.errors import VaelineError
from vaeline.params.yaml_text import parse_yaml
from vaeline.tracking.git import read_objects
from vaeline.tracking.locks import LOCK_FILE, locked_stages, outs
from vaeline.tracking.trees import Tree, cached_tree, disk_tree, dvc_md5

PROCESSES = Path(".dvc/tmp/rwlock")
CONFLICT = "<<<<<<< "

Parse = Callable[[str], Any]
Form = Callable[[Any], Any]


def mend_dvc_files() -> None:
    """Put git's version in the place of each file of DVC that is torn, or remove it, and say so.

    These are `dvc.lock`, the `.dvc` files of accepted batches, and DVC's list of running processes. Nothing is lost:
    DVC restores the stages that a `dvc.lock` lacks from its run cache, and the next ingestion adds a batch again. Files
    are left alone while another DVC process writes.

    Raises:
        VaelineError: `dvc.lock` has the marks of a merge conflict.
    """
    if LOCK_FILE.is_file() and CONFLICT in LOCK_FILE.read_text(encoding="utf-8", errors="replace"):
        raise VaelineError(f"{LOCK_FILE} has the marks of a merge conflict; run `make resolve-lock`")
    if not (Path(".dvc").is_dir() and _torn_files()):
        return
    from dvc.lock import LockError
    from dvc.repo import Repo

    with suppress(LockError), Repo() as repo, repo.lock:
        for file in _torn_files():
            print(f"vaeline: {file} was torn, because DVC was killed while it wrote it; {_mend(file)}", flush=True)


def drop_corrupt_outputs(since: float) -> bool:
    """Remove outputs that DVC has restored from corrupt objects of its cache, with these objects; say so.

    DVC does not check an object that is read-only, as all in its cache are. Only outputs that were written `since` this
    time, in seconds since the epoch, are checked. Returns whether there was one, so that DVC must make it again.
    """
    corrupt, stages = [], locked_stages()
    for path, md5 in [entry for stage in stages for entry in outs(stages, stage).items()]:
        tree = disk_tree(Path(path))
        if tree and _written(tree) >= since and dvc_md5(tree) != md5 and (objects := _corrupt_objects(md5)):
            print(
                f"vaeline: {path} was restored from a corrupt object of DVC's cache; both are removed, and the stage "
                "makes them again",
                flush=True,
            )
            corrupt += [path]
            for file in objects:
                file.unlink()
            shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()
    return bool(corrupt)


def _written(tree: Tree) -> float:
    """When the last file of a tree on disk was written, moved or linked."""
    return max((file.stat().st_ctime for file in tree.values() if isinstance(file, Path)), default=0.0)


def _corrupt_objects(md5: str) -> list[Path]:
    """The objects of DVC's cache behind an output whose content is not the one that they are named by."""
    files = [file for file in (cached_tree(md5) or {}).values() if isinstance(file, Path)]
    return [file for file in files if digest(file, "md5") != file.parent.name + file.name]


def _torn_files() -> list[Path]:
    """The files of DVC that it cannot read."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA, COMPILED_SINGLE_STAGE_SCHEMA

    parse = partial(parse_yaml, where="a file of DVC")
    forms: dict[Path, tuple[Parse, Form]] = {
        LOCK_FILE: (parse, COMPILED_LOCKFILE_SCHEMA),
        PROCESSES: (json.loads, dict),
    }
    forms |= dict.fromkeys(BATCHES.glob("*.dvc"), (parse, COMPILED_SINGLE_STAGE_SCHEMA))
    return [file for file, (parse, form) in forms.items() if file.is_file() and not _is_whole(file, parse, form)]


def _is_whole(file: Path, parse: Parse, form: Form) -> bool:
    from voluptuous import Invalid

    try:
        form(parse(file.read_text(encoding="utf-8")))
    except (VaelineError, ValueError, TypeError, Invalid):
        return False
    return True


def _mend(file: Path) -> str:
    """Mend one file, and say how."""
    name = f"HEAD:./{file}"
    content = read_objects([name]).get(name)
    if content is None:
        file.unlink()
        return "it is removed, and DVC makes it anew"
    with atomic_file(file) as temporary:
        temporary.write_bytes(content)
    return "it is now that of the last commit, and DVC restores what came later from its cache"
