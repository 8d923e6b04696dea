"""Images at any path, as the splits that the validation checks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vaeline.data.image_sets import UNLABELLED, read_image_set
from vaeline.data.prepared import Split, read_prepared
from vaeline.images.limits import OWN, Limits
from vaeline.images.spec import ImageSpec

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class FoundSplits:
    """Splits by name, whether they have labels, how they were fitted, and the manifest of prepared data.

    The manifest is empty for other images.
    """

    splits: dict[str, Split]
    labelled: bool
    image: ImageSpec
    manifest: dict[str, Any]

    @property
    def rows(self) -> dict[str, int]:
        """The number of images in each split."""
        return {name: len(self.splits[name].labels) for name in sorted(self.splits)}

    @property
    def rows_of_class(self) -> dict[int, int] | None:
        """The number of images of each label; None if there are no labels."""
        labels = np.concatenate([split.labels for split in self.splits.values()])
        return (
            dict(zip(*(part.tolist() for part in np.unique(labels, return_counts=True)), strict=True))
            if self.labelled
            else None
        )


def read_splits(path: Path, choose_spec: Callable[[], ImageSpec], limits: Limits = OWN) -> FoundSplits:
    """The images at `path` as splits.

    Prepared data has its three splits. A source with a test set has `source` and `test`, any other source `all`.
    Pictures are read in the size that `choose_spec` gives; prepared data and arrays keep their own size. Prepared data
    always counts as labelled, as in the stage `validate`: its profile has one class if there are no labels.

    Raises:
        VaelineError: there are no images, or they cannot be read.
    """
    if (path / MANIFEST).is_file():
        prepared = read_prepared(path)
        return FoundSplits(prepared.splits, True, prepared.image, prepared.manifest)
    spec = choose_spec()
    found = read_image_set(path, spec, limits)
    own = Split(found.images, found.labels, np.arange(len(found.labels)))
    if found.test_images is None or found.test_labels is None:
        splits = {"all": own}
    else:
        test = Split(found.test_images, found.test_labels, np.arange(len(found.test_labels)))
        splits = {"source": own, "test": test}
    return FoundSplits(splits, found.classes != UNLABELLED, spec, {})
