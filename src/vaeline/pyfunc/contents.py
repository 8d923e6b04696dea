"""The files of a registered model, by digest: `model/files.sha256` lists them all, and one digest covers the list.

`sha256sum --check files.sha256` reads the list, too.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from vaeline.artifacts import digest
from vaeline.errors import VaelineError

LIST = "files.sha256"
SIGNATURE = "model.sig"
BYTE_CODE = "__pycache__"
MLFLOW_NOTE = "registered_model_meta"  # MLflow writes it where it loads a version: its name and number
LINE = re.compile(r"([0-9a-f]{64})  (.+)")
SHOWN = 3


def write_list(folder: Path) -> str:
    """Write the list of all files of `folder` into it; return the SHA-256 of the list."""
    (folder / LIST).write_text(_as_text(_digests(folder)), encoding="utf-8")
    return digest(folder / LIST)


def changes(folder: Path, expected: str) -> list[str]:
    """What differs between the files of `folder` and the list whose SHA-256 is `expected`; empty if nothing does."""
    found = _digests(folder)
    if hashlib.sha256(_as_text(found).encode()).hexdigest() == expected:
        return []
    if not (folder / LIST).is_file():
        return [f"{LIST} is missing"]
    if digest(folder / LIST) != expected:
        return [f"{LIST} was changed"]
    lines = map(LINE.fullmatch, (folder / LIST).read_text(encoding="utf-8").splitlines())
    listed = {line[2]: line[1] for line in lines if line}
    return [
        f"{path} was {'removed' if path not in found else 'changed' if path in listed else 'added'}"
        for path in sorted({*found, *listed})
        if found.get(path) != listed.get(path)
    ]


def check_files(folder: Path, expected: str, name: str) -> None:
    """Raise VaelineError if the files of `folder` are not those with the digest `expected`; `name` is the model's."""
    if found := changes(folder, expected):
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise VaelineError(
            f"{name}: {', '.join(found[:SHOWN])}{more} since it was registered, so it is not loaded; `vaeline registry "
            "restore` brings its files back from DVC's cache"
        )


def relative_files(folder: Path) -> set[str]:
    """The paths of the files and links below `folder`, without byte code and the note of MLflow."""
    files = [file.relative_to(folder) for file in folder.rglob("*") if file.is_file() or file.is_symlink()]
    return {file.as_posix() for file in files if BYTE_CODE not in file.parts} - {MLFLOW_NOTE}


def _digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file but the list and a signature. Byte code does not count: vaeline never loads it."""
    counted = relative_files(folder) - {LIST, SIGNATURE}
    return {file: digest(folder / file) if (folder / file).is_file() else "" for file in counted}


def _as_text(digests: Mapping[str, str]) -> str:
    return "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(digests.items()))
