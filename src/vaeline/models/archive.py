"""Archives of models."""

import json
import zipfile
from pathlib import Path

from vaeline.archive import check_archive, load_archive
from vaeline.kinds import known_kinds
from vaeline.models.build import model_class
from vaeline.models.generative import GenerativeModel


def load_model(path: Path, expected_digest: str | None = None) -> GenerativeModel:
    """Load the model at `path` by `load_archive`. Only the code of its own kind is imported.

    Raises:
        VaelineError: there is no such file, its digest is not the expected one, or it holds no model of vaeline.
    """
    check_archive(path, expected_digest)
    kind = _named_kind(path)
    if kind in known_kinds():
        model_class(kind)
    return load_archive(path, GenerativeModel)


def _named_kind(path: Path) -> str:
    """The kind that an archive names, or "" if it names none; `load_archive` then raises the error."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        return config["config"]["params"]["kind"]
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError):
        return ""
