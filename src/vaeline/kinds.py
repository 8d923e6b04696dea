"""The kinds of model (`model.kind`). Each kind is a folder in `vaeline/models/kinds`, found by its name.

Its `model.py` names the class as MODEL. Its `rules.py`, if it has one, refuses parameters that do not fit the kind.
No other file lists the kinds. A new kind therefore changes no file that another kind depends on.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaeline.models.generative import GenerativeModel
    from vaeline.params.model import ModelParams

PACKAGE = "vaeline.models.kinds"


def known_kinds() -> list[str]:
    """The names of all kinds, sorted."""
    places = import_module(PACKAGE).__path__
    return sorted(file.parent.name for place in places for file in Path(place).glob("*/model.py"))


def check_kind(params: "ModelParams") -> None:
    """Check the parameters against the rules of their kind, without importing Keras.

    Raises:
        ValueError: the parameters do not fit the kind.
    """
    rules = f"{PACKAGE}.{params.kind}.rules"
    if find_spec(rules) is not None:
        import_module(rules).check(params)


def model_class(kind: str) -> type["GenerativeModel"]:
    """The class of a kind. The import registers it with Keras, so that Keras can load its archives."""
    return import_module(f"{PACKAGE}.{kind}.model").MODEL
