"""Kinds of model and likelihoods, found by the names that `params.yaml` gives (`model.kind`, `model.likelihood`).

A kind is a folder in `vaeline/models/kinds`. Its `model.py` names the class as MODEL. Its `params.py`, if it has one,
names the class of its parameters as PARAMS. A likelihood is a file in `vaeline/models/likelihoods`, which names its
class as LIKELIHOOD. No other file lists them, so a new one changes no file that another one depends on.

This module imports no Keras, and knows neither the models nor their parameters.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

KINDS = "vaeline.models.kinds"
LIKELIHOODS = "vaeline.models.likelihoods"


def known_kinds() -> list[str]:
    """The names of all kinds, sorted."""
    return sorted(file.parent.name for folder in _folders(KINDS) for file in folder.glob("*/model.py"))


def known_likelihoods() -> list[str]:
    """The names of all likelihoods, sorted."""
    files = (file for folder in _folders(LIKELIHOODS) for file in folder.glob("*.py"))
    return sorted(file.stem for file in files if file.stem != "__init__")


def model_module(kind: str) -> ModuleType:
    """The module of a kind's class. It imports Keras."""
    return import_module(f"{KINDS}.{kind}.model")


def params_module(kind: str) -> ModuleType | None:
    """The module of a kind's parameters, or None if it has none of its own."""
    name = f"{KINDS}.{kind}.params"
    return None if find_spec(name) is None else import_module(name)


def likelihood_module(name: str) -> ModuleType:
    """The module of a likelihood. It imports Keras."""
    return import_module(f"{LIKELIHOODS}.{name}")


def _folders(package: str) -> list[Path]:
    return [Path(place) for place in import_module(package).__path__]
