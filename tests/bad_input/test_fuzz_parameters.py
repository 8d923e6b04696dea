"""Any text of YAML, and any change of a preset, gives parameters or one sentence."""

import copy
import os
from typing import Any

from bad_input.refusal import check_sentence
from conftest import ROOT
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from vaeline.errors import VaelineError
from vaeline.params.base import flatten, nest
from vaeline.params.whole import Params, parse_params
from vaeline.params.yaml_text import parse_yaml

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
VALUES = YAML(typ="safe").load(TEXT)
FLAT = flatten(VALUES)
PRESETS = [flatten(YAML(typ="safe").load(file)) for file in sorted((ROOT / "presets").rglob("*.yaml"))]
quick = settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None)

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates() | st.binary(max_size=5)
)
keys = st.text(max_size=5) | st.integers() | st.none()
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
pieces = st.sampled_from(
    [
        *"{}[]:,-?!&*#|>%@`'\"\\ \t\n\0=~",
        *("\n  ", "---\n", "...\n", "&a ", "*a", "<<: ", "!!int ", "!!binary ", "!mine ", "yes", "é"),
        *("1e999", ".nan", "-.inf", "0x_", "1_0", "12:30:45", "2026-02-30", "2026-02-30T25:61:61Z"),
    ]
)


def read(text: str) -> None:
    """Parameters, or a VaelineError of one sentence; any other exception fails the test."""
    try:
        found = parse_params(parse_yaml(text, "params.yaml"))
    except VaelineError as error:
        check_sentence(str(error), ("params.yaml: ",))
    else:
        assert isinstance(found, Params)


@quick
@given(st.lists(pieces | st.text(max_size=8), max_size=30).map("".join))
@example("a: &a\n  <<: *a\n")
@example("<<: 3")
@example("? [1, {a: 2}]\n: 3")
@example("a: 2001-13-45")
@example("a: '\\ud800'")
@example('"\\ud800"')
@example("a: " + "1" * 5000)
def test_any_text_is_read_or_refused(text):
    read(text)


@quick
@given(st.integers(0, len(TEXT)), st.integers(0, 40), st.lists(pieces, max_size=4).map("".join))
def test_any_mutation_of_the_file_is_read_or_refused(start, length, inserted):
    read(TEXT[:start] + inserted + TEXT[start + length :])


@quick
@given(st.sampled_from(PRESETS), st.lists(st.tuples(st.sampled_from(sorted(FLAT)), plain), min_size=1, max_size=3))
def test_any_value_in_a_preset_is_taken_or_refused(preset, changes):
    values = copy.deepcopy(FLAT) | preset | dict(changes)
    check_values(nest(values))


@quick
@given(plain)
@example({1: 2})
@example({None: {}})
@example({"\n": {}})
@example({"\x1b[2J": 1})
@example({"model": {"kind": []}})
@example({"model": {"kind": None, "likelihood": {}}})
def test_any_values_are_taken_or_refused(values):
    check_values(values)
    if isinstance(values, dict):
        check_values(VALUES | values)
        check_values(VALUES | {"model": VALUES["model"] | values})


def check_values(values: Any) -> None:
    try:
        assert isinstance(parse_params(values), Params)
    except VaelineError as error:
        check_sentence(str(error), ("params.yaml: ",))
