"""Kinds of defects: which test images are good, and which show what defect."""

import numpy as np
from jaxtyping import Integer

from vaeline.data.prepared import Prepared


def has_defects(prepared: Prepared) -> bool:
    """Whether the data has a class of good images, and the test images are of this class and of others."""
    if "good" not in prepared.manifest:
        return False
    good, kinds = rows_by_kind(prepared)
    return bool(len(good) and kinds)


def rows_by_kind(
    prepared: Prepared,
) -> tuple[Integer[np.ndarray, " good"], dict[str, Integer[np.ndarray, " _"]]]:
    """The rows of the good test images, and those of each kind of defect that there is, by the name of the class."""
    labels = prepared.splits["test"].labels
    rows = {name: np.flatnonzero(labels == number) for number, name in enumerate(prepared.classes)}
    good = rows.pop(prepared.manifest["good"])
    return good, {name: found for name, found in rows.items() if len(found)}
