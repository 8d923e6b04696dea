"""Images at any path, as the splits that the validation looks at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vaeline.data.image_sets import UNLABELLED, read_image_set
from vaeline.data.prepared import Split, read_prepared
from vaeline.images.spec import ImageSpec

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class FoundSplits:
    """Splits by name, whether their labels are known, and the manifest of prepared data, else empty."""

    splits: dict[str, Split]
    labelled: bool
    manifest: dict[str, Any]


def read_splits(path: Path, spec: ImageSpec) -> FoundSplits:
    """Prepared data with its three splits; else `source` and `test` of a source with a test set, or `all`.

    Pictures are read in the size `spec`; prepared data and arrays keep their own. Prepared data counts as labelled, as
    for the stage `validate`: without labels, its profile has one class.

    Raises:
        VaelineError: nothing usable is there.
    """
    if (path / MANIFEST).is_file():
        prepared = read_prepared(path)
        return FoundSplits(prepared.splits, True, prepared.manifest)
    found = read_image_set(path, spec)
    own = Split(found.images, found.labels, np.arange(len(found.labels)))
    if found.test_images is None or found.test_labels is None:
        splits = {"all": own}
    else:
        test = Split(found.test_images, found.test_labels, np.arange(len(found.test_labels)))
        splits = {"source": own, "test": test}
    return FoundSplits(splits, found.classes != UNLABELLED, {})
