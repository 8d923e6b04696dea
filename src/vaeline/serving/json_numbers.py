"""Numbers in JSON as an array: its size is bounded before it is parsed, and no other thread waits for the parser.

Arrow parses without the interpreter's lock. A parser that makes a Python object of each number holds it all the while.
"""

import re

import numpy as np
import pyarrow as pa
from jaxtyping import Float32
from pyarrow import json as arrow_json

MOST_DEPTH = 4
"""Lists in lists: an image has three axes, and several of them have four."""
SPACE = rb"[ \t\r\n]*"
START = re.compile(SPACE + rb"((?:\[" + SPACE + rb")*)")
UNEQUAL = "numbers, in lists of equal lengths"
NUMBER_BYTES = b"0123456789+-.eE,[] \t\r\n"


class NotNumbersError(ValueError):
    """The text is JSON, but no list of numbers, or its lists differ in length. The message is the end of a sentence."""


class TooLargeError(ValueError):
    """The text has too many elements, or its lists are too deep. The message is the end of a sentence."""


def read_numbers(text: bytes, most: int) -> Float32[np.ndarray, "..."]:
    """The array of a JSON list of numbers, or of lists of lists of numbers. A number beyond float32 becomes infinite.

    most: the limit of elements: numbers and lists.

    Raises:
        TooLargeError: the text has more than `most` elements, or more than MOST_DEPTH lists in lists.
        NotNumbersError: the text has something else than numbers, or lists of unequal lengths.
        ValueError: the text is not JSON.
    """
    found = START.match(text)
    depth = found[1].count(b"[") if found else 0
    elements = text.count(b",") + text.count(b"[")
    if elements > most:
        raise TooLargeError(f"{elements:,} numbers and lists; at most {most:,} are allowed (--most-elements)")
    if depth > MOST_DEPTH:
        raise TooLargeError(f"more than {MOST_DEPTH} lists in lists")
    if not depth or text.translate(None, NUMBER_BYTES):
        raise NotNumbersError(UNEQUAL if depth else "a list of numbers")
    with np.errstate(over="ignore"):
        return _as_array(_parse(text, depth), depth).astype("float32")


def _parse(text: bytes, depth: int) -> pa.Array:
    """A JSON list as an Arrow array of lists. Arrow reads lines of JSON, so the list is the only field of one line."""
    kind = pa.float64()
    for _ in range(depth):
        kind = pa.list_(kind)
    line = b'{"":' + text + b"}"
    reading = arrow_json.ReadOptions(use_threads=False, block_size=len(line) + 1)
    parsing = arrow_json.ParseOptions(explicit_schema=pa.schema([("", kind)]), newlines_in_values=True)
    try:
        table = arrow_json.read_json(pa.BufferReader(line), reading, parsing)
    except pa.ArrowInvalid as invalid:
        reason = str(invalid).removeprefix("JSON parse error: ").removesuffix(" in row 0")
        error = NotNumbersError(UNEQUAL) if "changed from" in reason else ValueError(reason)
        raise error from None
    return table.column(0).combine_chunks()


def _as_array(nested: pa.Array, depth: int) -> np.ndarray:
    """Lists of equal lengths as an array. Raises NotNumbersError if their lengths differ."""
    shape = []
    for _ in range(depth):
        lengths = np.diff(nested.offsets.to_numpy())
        if np.any(lengths != lengths[:1]):
            raise NotNumbersError(UNEQUAL)
        if not len(lengths):
            break
        shape.append(int(lengths[0]))
        nested = nested.values
    return nested.to_numpy(zero_copy_only=False).reshape(shape) if len(shape) == depth else np.zeros(shape)
