"""What `model.kind` may be: each kind is a folder of `vaeline/models/kinds`, found by its name.

`model.py` there names the kind's class as MODEL; `rules.py`, where there is one, refuses parameters that do not fit the
kind. Nothing else lists the kinds, so that a new one changes no file that the other kinds depend on.
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
    """Check the parameters by the rules of their kind, without importing Keras.

    Raises:
        ValueError: they do not fit the kind.
    """
    rules = f"{PACKAGE}.{params.kind}.rules"
    if find_spec(rules) is not None:
        import_module(rules).check(params)


def model_class(kind: str) -> type["GenerativeModel"]:
    """The class of a kind. Importing it registers it with Keras, which can then load its archives."""
    return import_module(f"{PACKAGE}.{kind}.model").MODEL
