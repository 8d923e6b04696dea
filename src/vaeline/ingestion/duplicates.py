"""Images that are known already: of the test set above all, which no batch may bring into training."""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from vaeline.data.accepted import Rows, contents
from vaeline.data.prepared import Prepared

ITSELF = "batch"
ROWS_AT_A_TIME = 8192


def known_contents(prepared: Prepared, accepted: Iterable[tuple[str, Rows]]) -> dict[bytes, str]:
    """Where each known image is: an accepted batch (by id) or a split of prepared data; test comes before all."""
    known: dict[bytes, str] = {}
    for split in sorted(prepared.splits, key=lambda name: name != "test"):
        images = prepared.splits[split].images
        for start in range(0, len(images), ROWS_AT_A_TIME):
            for content in contents(images[start : start + ROWS_AT_A_TIME]):
                known.setdefault(content, split)
    for batch, rows in accepted:
        for content in contents(rows.images):
            if known.get(content) != "test":
                known[content] = batch
    return known


def new_rows(images: np.ndarray, known: Mapping[bytes, str]) -> tuple[np.ndarray, dict[str, int]]:
    """The numbers of the images that are not known, the first of equal ones, and how many others are where."""
    seen: set[bytes] = set()
    new, dropped = [], Counter()
    for number, content in enumerate(contents(images)):
        if content in known:
            dropped[known[content]] += 1
        elif content in seen:
            dropped[ITSELF] += 1
        else:
            seen.add(content)
            new.append(number)
    return np.array(new, "int64"), dict(sorted(dropped.items()))
