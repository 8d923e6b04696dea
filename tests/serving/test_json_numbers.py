"""Numbers in JSON: the values of Python's parser, and bounds that hold before anything is parsed."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import json as arrow_json
from serving.conftest import Host

from vaeline.serving.json_numbers import NotNumbersError, TooLargeError, read_numbers

JSON = {"content-type": "application/json"}
MANY = 10_000
PIECES = st.sampled_from(
    ["[", "]", "[[", "]]", ",", " ", "\n", "0", "-0", "01", "+1", "1.", ".5", "1e", "-", "1E+2", "1e-400", "[1]", "[]"]
)
NUMBERS = st.one_of(st.integers(-(10**20), 10**20), st.floats(-1e38, 1e38))


def expected(text: str) -> np.ndarray | type[Exception]:
    """What Python's parser makes of a text that has numbers, brackets and commas alone."""
    try:
        values = json.loads(text)
    except ValueError:
        return ValueError
    try:
        array = np.asarray(values, dtype="float64")
    except ValueError:
        return NotNumbersError
    return array.astype("float32") if isinstance(values, list) else NotNumbersError


def found(text: str) -> np.ndarray | type[Exception]:
    try:
        return read_numbers(text.encode(), MANY)
    except ValueError as error:
        return type(error)


@settings(derandomize=True, max_examples=400, deadline=None, database=None)
@given(st.lists(PIECES, max_size=9).map("".join))
def test_a_text_is_taken_if_and_only_if_python_takes_it(text):
    wanted, got = expected(text), found(text)
    if isinstance(wanted, np.ndarray) and wanted.ndim <= 4:
        np.testing.assert_array_equal(got, wanted)
        assert got.shape == wanted.shape
    else:
        assert isinstance(got, type), (text, got)


@settings(derandomize=True, max_examples=100, deadline=None, database=None)
@given(st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=5), st.integers(0, 2))
def test_values_are_those_of_python_to_the_last_bit(rows, depth):
    for _ in range(depth):
        rows = [rows]
    got = read_numbers(json.dumps(rows, indent=depth or None).encode(), MANY)
    np.testing.assert_array_equal(got, np.array(rows, "float64").astype("float32"))


@pytest.mark.parametrize(
    ("text", "refusal", "message"),
    [
        ("[1,2,3,4,5,6]", TooLargeError, r"^6 numbers and lists; at most 5 are allowed \(--most-elements\)$"),
        ("[" + "[]," * 5 + "[]]", TooLargeError, r"^12 numbers"),
        ("[[[[[1]]]]]", TooLargeError, r"^more than 4 lists in lists$"),
        ("[" * 100_000, TooLargeError, r"^100,000 numbers"),
        ("[1, [[[[[2]]]]]]", TooLargeError, "numbers and lists"),
        ("[[1], 2]", NotNumbersError, "lists of equal lengths"),
        ("[1, [2]]", NotNumbersError, "lists of equal lengths"),
        ("[[1], [2, 3]]", NotNumbersError, "lists of equal lengths"),
        ("[[1], []]", NotNumbersError, "lists of equal lengths"),
        ('["1"]', NotNumbersError, "numbers"),
        ("[true]", NotNumbersError, "numbers"),
        ("[null]", NotNumbersError, "numbers"),
        ("[1]} null", NotNumbersError, "numbers"),
        ("[NaN]", NotNumbersError, "numbers"),
        ("1", NotNumbersError, "^a list of numbers$"),
        ("", NotNumbersError, "^a list of numbers$"),
        ("[1 2]", ValueError, "comma"),
        ("[1e999]", ValueError, "too big"),
    ],
)
def test_what_is_no_array_is_refused(text, refusal, message):
    with pytest.raises(refusal, match=message):
        read_numbers(text.encode(), 5)


def test_empty_lists_keep_their_shape():
    assert read_numbers(b"[]", MANY).shape == (0,)
    assert read_numbers(b"[[], []]", MANY).shape == (2, 0)
    assert read_numbers(b"[[[]]]", MANY).shape == (1, 1, 0)


BOMBS = {
    "empty lists": b'{"images": [' + b"[]," * 1_300_000 + b"[]]}",
    "depth": b'{"images": ' + b"[" * 1_900_000 + b"]" * 1_900_000 + b"}",
    "numbers": b'{"images": [' + b"0," * 1_900_000 + b"0]}",
    "lists of png": b'{"png": [' + b"[]," * 1_300_000 + b"[]]}",
    "texts": b'{"png": [' + b'"",' * 1_300_000 + b'""]}',
    "objects": b'{"images": [' + b"{}," * 1_300_000 + b"{}]}",
    "names": b"{" + b'"a":1,' * 600_000 + b'"a":1}',
    "another name": b'{"a": [' + b"[]," * 1_300_000 + b"[]]}",
    "no object": b"[" + b"[]," * 1_300_000 + b"[]]",
    "quotes": b'{"png": "' + b'\\"' * 1_900_000 + b'"}',
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_before_it_is_parsed(host, monkeypatch, bomb):
    def parse(*_, **__):
        raise AssertionError("a bomb was parsed")

    monkeypatch.setattr("pydantic_core.from_json", parse)
    monkeypatch.setattr(arrow_json, "read_json", parse)
    response = host.ask("POST", "/encode", content=BOMBS[bomb], headers=JSON)
    assert response.status_code in (413, 422), response.text
    assert len(response.json()["error"]) < 150


def test_the_limit_of_elements_is_a_setting_and_the_message_names_it(shelf):
    row = [0.5] * 28
    with Host(shelf, most_elements=900) as host:
        assert host.ask("POST", "/encode", json={"images": [[row] * 28]}).status_code == 200
        refused = host.ask("POST", "/encode", json={"images": [[row] * 28] * 2})
    assert refused.status_code == 413
    pattern = r"images has 1,\d{3} numbers and lists; at most 900 are allowed \(--most-elements\)"
    assert re.fullmatch(pattern, refused.json()["error"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/encode", b'{"images": [[0.5]], "images": [[0.5]]}'),
        ("/encode", b'{"png": "aaaa", "png": "aaaa"}'),
        ("/encode", b'{"png": ["aaaa"], "images": 1, "png": ["aaaa"]}'),
        ("/decode", b'{"latents": [[0, 0]], "latents" : [[0, 0]]}'),
        ("/decode", b'{"latents": [' + b"[0, 0]," * 50_000 + b'[0, 0]], "latents": [[0, 0]]}'),
    ],
)
def test_a_name_that_is_given_twice_is_refused(host, path, body):
    response = host.ask("POST", path, content=body, headers=JSON)
    assert response.status_code == 422
    assert re.fullmatch(r"the body has \w+ twice; a name must be given once", response.json()["error"])


def test_a_name_that_is_given_twice_in_another_spelling_is_refused(host):
    for body in (b'{"latents": [[0, 0]], "l\\u0061tents": [[0, 0]]}', b'{"l\\u0061tents": [[0, 0]]}'):
        assert host.ask("POST", "/decode", content=body, headers=JSON).status_code == 422
