"""Images at any path, as the splits that the gate looks at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vaeline.data.prepared import Split, read_prepared
from vaeline.data.readers import UNLABELLED, read_image_set

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class FoundSplits:
    """Splits by name, whether their labels are known, and the manifest of prepared data, else empty."""

    splits: dict[str, Split]
    labelled: bool
    manifest: dict[str, Any]


def read_splits(path: Path) -> FoundSplits:
    """Prepared data with its three splits; else `source` and `test` of a source with a test set, or `all`.

    Prepared data counts as labelled, as for the stage `validate`: a profile of its own knows it by one class.

    Raises:
        VaelineError: nothing usable is there.
    """
    if (path / MANIFEST).is_file():
        prepared = read_prepared(path)
        return FoundSplits(prepared.splits, True, prepared.manifest)
    found = read_image_set(path)
    own = Split(found.images, found.labels, np.arange(len(found.labels)))
    if found.test_images is None:
        splits = {"all": own}
    else:
        test = Split(found.test_images, found.test_labels, np.arange(len(found.test_labels)))
        splits = {"source": own, "test": test}
    return FoundSplits(splits, found.classes != UNLABELLED, {})
