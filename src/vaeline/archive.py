"""Model archives: `.keras` files. Their bytes depend only on the model, and they are loaded without pickle."""

import json
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import TypeVar

import keras

from vaeline.artifacts import atomic_file, digest
from vaeline.errors import VaelineError
from vaeline.redaction import one_line

Model = TypeVar("Model", bound=keras.Model)
EARLIEST = (1980, 1, 1, 0, 0, 0)
BROKEN = (ValueError, TypeError, LookupError, AttributeError, RuntimeError, OSError, zlib.error, zipfile.BadZipFile)
"""What Keras and HDF5 raise where a part of an archive is missing or was changed."""
VOLATILE_KEYS = {"date_saved", "shared_object_id"}


def save_archive(model: keras.Model, path: Path) -> str:
    """Write `model` without its optimizer to `path`, atomically; return the archive's SHA-256.

    Keras writes the date, zip times and memory addresses. They are removed, so that equal weights give equal bytes.
    Keras always saves the optimizer of a compiled model. Therefore an uncompiled copy is saved.
    """
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / "model.keras"
        bare.save(plain)
        with atomic_file(path) as temporary:
            _rewrite(plain, temporary)
    return digest(path)


def check_archive(path: Path, expected_digest: str | None = None) -> None:
    """Raise VaelineError if the file is missing, is no archive, or its SHA-256 is not `expected_digest`."""
    if not path.is_file():
        raise VaelineError(f"{path}: no such model; train one with `dvc repro`")
    if expected_digest is not None and digest(path) != expected_digest:
        raise VaelineError(f"{path}: SHA-256 is {digest(path)}, expected {expected_digest}; the file was changed")
    if not zipfile.is_zipfile(path):
        raise VaelineError(
            f"{path}: not a vaeline model archive: cut off, or no .keras file; copy it again, or run `dvc repro`"
        )


def load_archive(path: Path, kind: type[Model]) -> Model:
    """Load an archive in Keras' safe mode.

    Raises:
        VaelineError: the file is missing, or its model is not of the class `kind`.
    """
    check_archive(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except BROKEN as error:
        raise VaelineError(f"{path}: not a vaeline model archive: {one_line(error, 200)}") from error
    if not isinstance(model, kind):
        raise VaelineError(f"{path}: holds a {type(model).__name__}, not a {kind.__name__}")
    return model


def _rewrite(source: Path, target: Path) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for name in sorted(old.namelist()):
            content = old.read(name)
            if name.endswith(".json"):
                content = json.dumps(_without_volatile(json.loads(content)), sort_keys=True).encode()
            new.writestr(zipfile.ZipInfo(name, EARLIEST), content)


def _without_volatile(node):
    if isinstance(node, dict):
        return {key: _without_volatile(value) for key, value in node.items() if key not in VOLATILE_KEYS}
    return [_without_volatile(item) for item in node] if isinstance(node, list) else node
