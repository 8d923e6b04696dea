"""Images at any path, as the splits that the gate looks at."""

from pathlib import Path
from typing import Any

import numpy as np

from vaeline.data.prepared import Split, read_prepared
from vaeline.data.readers import read_image_set

MANIFEST = "manifest.json"


def read_splits(path: Path) -> dict[str, Split]:
    """Prepared data with its three splits; else `source` and `test` of a source with a test set, or `all`.

    Raises:
        VaelineError: nothing usable is there.
    """
    if (path / MANIFEST).is_file():
        return read_prepared(path).splits
    found = read_image_set(path)
    own = Split(found.images, found.labels, np.arange(len(found.labels)))
    if found.test_images is None:
        return {"all": own}
    return {"source": own, "test": Split(found.test_images, found.test_labels, np.arange(len(found.test_labels)))}


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of prepared data; empty for images of any other kind."""
    return read_prepared(path).manifest if (path / MANIFEST).is_file() else {}
