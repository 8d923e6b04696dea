"""Text of YAML, as plain values. Its size is bounded before values are made: aliases can stand for billions of them."""

from typing import Any

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from vaeline.errors import VaelineError
from vaeline.redaction import one_line

MOST_CHARACTERS = 4_000_000
MOST_VALUES = 200_000
MOST_DEPTH = 50
STANDARD = "tag:yaml.org,2002:"
PLAIN_TAGS = frozenset(STANDARD + name for name in ("str", "int", "float", "bool", "null", "seq", "map"))
BROKEN = (YAMLError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, AssertionError)
"""What ruamel.yaml raises, here for dates and numbers that do not exist, keys that are lists, and broken escapes."""


def parse_yaml(text: str | bytes, where: str, yaml: YAML | None = None) -> Any:
    """The values in a text of YAML, as `yaml` makes them; by default plain ones.

    Raises:
        VaelineError: it is no YAML, has tags of programs, or is larger than the limits above; `where` begins the
            sentence.
    """
    if len(text) > MOST_CHARACTERS:
        raise VaelineError(f"{where}: {len(text):,} characters; at most {MOST_CHARACTERS:,} of YAML are read")
    try:
        _check_size(text, where)
        return (yaml or YAML(typ="safe")).load(text)
    except MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise VaelineError(f"{where}: not YAML: {one_line(error.problem or error.context, 150)}{line}") from None
    except BROKEN as error:
        raise VaelineError(f"{where}: not YAML: {one_line(error, 150)}") from None


def _check_size(text: str | bytes, where: str) -> None:
    """Count the values that the text stands for. A parser of events follows no alias and makes no value."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    count = 0
    for event in YAML(typ="safe").parse(text):
        if isinstance(event, AliasEvent):
            if event.anchor not in sizes:
                raise VaelineError(f"{where}: the alias *{event.anchor} stands for itself or for nothing; write it out")
            count += sizes[event.anchor]
        elif isinstance(event, NodeEvent):
            tag = getattr(event, "tag", None)
            if tag and tag != "!" and tag not in PLAIN_TAGS:
                line, short = event.start_mark.line + 1, tag.replace(STANDARD, "!!")
                raise VaelineError(f"{where}: the tag {short!r} in line {line} is not read; leave it out")
            if isinstance(event, MappingStartEvent | SequenceStartEvent):
                open_nodes.append((event.anchor, count))
            elif event.anchor:
                sizes[event.anchor] = 1
            count += 1
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = count - before
        if len(open_nodes) > MOST_DEPTH:
            raise VaelineError(f"{where}: more than {MOST_DEPTH} lists and sections in one another; write it flatter")
        if count > MOST_VALUES:
            raise VaelineError(
                f"{where}: more than {MOST_VALUES:,} values, aliases (*) included; at most so many are read; write it "
                "shorter"
            )
