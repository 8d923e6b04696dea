"""What the sections of `params.yaml` share: strict types, reading a section, errors that name the nearest key."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML

from vaeline.errors import VaelineError
from vaeline.params.yaml_text import parse_yaml
from vaeline.redaction import one_line

PARAMS_FILE = Path("params.yaml")
SHOWN = 5  # of the wrong keys


class Section(BaseModel):
    """A section: strict types, no unknown keys, no NaN or infinity, no change after reading."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""A random seed: NumPy and Keras take no larger ones."""

Read = TypeVar("Read", bound=BaseModel)


def read_section(name: str, section: type[Read], path: Path = PARAMS_FILE) -> Read:
    """Read and check one section of `params.yaml`; the other sections may hold anything.

    Raises:
        VaelineError: the file is missing, is no YAML, or a key of the section is unknown, missing or out of range.
    """
    content = load_sections(path)
    if name not in content:
        raise VaelineError(f"{path}: key {name!r} is missing")
    return check(section, content[name], str(path), (name,))


def check(section: type[Read], values: object, where: str, parents: tuple[str, ...] = ()) -> Read:
    """Check nested plain values; an error names the file `where` and the keys that the section stands under.

    Raises:
        VaelineError: a key is unknown, missing or out of range.
    """
    try:
        return section.model_validate(values)
    except ValidationError as error:
        wrong_first = sorted(error.errors(), key=lambda item: item["type"] == "missing")
        sentences = [_explain(item, section, parents) for item in wrong_first]
        more = f"; and {len(sentences) - SHOWN} more" if len(sentences) > SHOWN else ""
        raise VaelineError(f"{where}: {'; '.join(sentences[:SHOWN])}{more}") from None


def load(path: Path, yaml: YAML | None = None) -> Any:
    """The content of a YAML file, as `parse_yaml` reads it. Raises VaelineError where it is missing or no YAML."""
    try:
        return parse_yaml(path.read_text(encoding="utf-8"), str(path), yaml)
    except FileNotFoundError:
        raise VaelineError(f"{path}: not found; run from the repository's root") from None
    except (IsADirectoryError, NotADirectoryError):
        raise VaelineError(f"{path}: a folder lies where the file should be; restore it with `git checkout`") from None
    except UnicodeDecodeError:
        raise VaelineError(f"{path}: not text in UTF-8; save it so") from None


def load_sections(path: Path, yaml: YAML | None = None) -> Any:
    """The content of a YAML file of sections: a dictionary. Raises VaelineError as `load`, or if it is none."""
    return require_sections(load(path, yaml), str(path))


def require_sections(content: Any, where: str) -> Any:
    """The same content of a YAML file. Raises VaelineError if it is no dictionary."""
    if not isinstance(content, dict):
        raise VaelineError(f"{where}: expected sections of keys and values (got {one_line(repr(content), 100)})")
    return content


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections as dotted keys: `{"model": {"beta": 1}}` gives `{"model.beta": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        nested = flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        flat.update(nested)
    return flat


def nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as nested sections: `{"model.beta": 1}` gives `{"model": {"beta": 1}}`."""
    nested: dict[str, Any] = {}
    for dotted, value in values.items():
        *parents, key = dotted.split(".")
        section = nested
        for parent in parents:
            section = section.setdefault(parent, {})
        section[key] = value
    return nested


def nearest(word: object, valid: Iterable[str]) -> str:
    """The end of an error sentence: the valid word that is most like `word`, or else all valid words."""
    close = difflib.get_close_matches(str(word), valid, n=1, cutoff=0.4)
    return f"; did you mean {close[0]!r}?" if close else f"; valid: {', '.join(valid)}"


def keys_of(section: type[BaseModel]) -> dict[str, Any]:
    """The keys of a section, as the file spells them, with their types."""
    return {field.alias or name: field.annotation for name, field in section.model_fields.items()}


def _explain(error: Any, section: type[BaseModel], parents: tuple[str, ...]) -> str:
    key = one_line(".".join(str(part) for part in (*parents, *error["loc"])), 100)
    if error["type"] in ("model_type", "model_attributes_type", "dict_type"):
        name = f"{key}: " if key else ""
        return f"{name}expected a section of keys and values (got {one_line(repr(error['input']), 100)})"
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}{_nearest_key(section, error['loc'])}"
    if error["type"] == "missing":
        return f"key {key!r} is missing"
    got = "" if isinstance(error["input"], dict) else f" (got {one_line(repr(error['input']), 100)})"
    said = f"{error['msg'].removeprefix('Value error, ')}{got}"
    return f"{key}: {said}"


def _nearest_key(section: type[BaseModel], location: tuple[str, ...]) -> str:
    """The end of an error sentence about an unknown key; "" in a section that only the model of one kind has."""
    for part in location[:-1]:
        if part not in keys_of(section):
            return ""
        section = keys_of(section)[part]
    return nearest(str(location[-1]), keys_of(section))
