"""Find images that are known already. Above all, no batch may bring an image of the test set into training.

A picture that only looks like one of the test set is not taken either.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Bool, Integer

from vaeline.data.accepted import Rows
from vaeline.data.near_duplicates import find_duplicates
from vaeline.data.prepared import Prepared
from vaeline.images.digests import image_digests
from vaeline.images.types import AnyImages

ITSELF = "batch"
ROWS_AT_A_TIME = 8192


def known_images(prepared: Prepared, accepted: Iterable[tuple[str, Rows]]) -> dict[bytes, str]:
    """Where each known image is, by its digest: the id of an accepted batch, or the name of a split.

    An image that is in several places counts as known from the test split first, then from a batch.
    """
    known: dict[bytes, str] = {}
    for split in sorted(prepared.splits, key=lambda name: name != "test"):
        images = prepared.splits[split].images
        for start in range(0, len(images), ROWS_AT_A_TIME):
            for image in image_digests(images[start : start + ROWS_AT_A_TIME]):
                known.setdefault(image, split)
    for batch, rows in accepted:
        for image in image_digests(rows.images):
            if known.get(image) != "test":
                known[image] = batch
    return known


def new_rows(images: AnyImages, known: Mapping[bytes, str]) -> tuple[Integer[np.ndarray, " new"], dict[str, int]]:
    """The row numbers of new images, and the number of known images by the place where they are.

    If images of the batch are equal, the first one is new; the others are known from `batch`.
    """
    seen: set[bytes] = set()
    new, dropped = [], Counter()
    for number, image in enumerate(image_digests(images)):
        if image in known:
            dropped[known[image]] += 1
        elif image in seen:
            dropped[ITSELF] += 1
        else:
            seen.add(image)
            new.append(number)
    return np.array(new, "int64"), dict(sorted(dropped.items()))


def looks_like_test(images: AnyImages, prepared: Prepared, distance: int) -> Bool[np.ndarray, " count"]:
    """Whether each image looks like one of the test split (`find_duplicates`).

    Images of another size or type look like none; validation refuses them.
    """
    test = prepared.splits["test"].images
    if (images.shape[1:], images.dtype) != (test.shape[1:], test.dtype):
        return np.zeros(len(images), bool)
    groups = find_duplicates([test, images], np.arange(len(test) + len(images)), distance).alike
    return np.isin(groups[len(test) :], groups[: len(test)])
