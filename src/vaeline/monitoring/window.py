"""A window of new images, and the images that it is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Integer
from mlflow.entities import Run

from vaeline.data.image_sets import UNLABELLED, ImageSet, read_image_set
from vaeline.data.prepared import Split
from vaeline.errors import VaelineError
from vaeline.evaluation.noise import subset
from vaeline.images.digests import npy_digest, set_digest
from vaeline.images.errors import named
from vaeline.images.fitting import fit_bytes
from vaeline.images.limits import OWN, Limits
from vaeline.images.spec import ImageSpec
from vaeline.images.types import ByteImages, Labels
from vaeline.params.monitor import MonitorParams
from vaeline.tracking.comparison import split_profile

VALIDATION = "validation"


@dataclass(frozen=True)
class Window:
    """Images (count, height, width, channels) uint8, labels (count,) or None, where they come from, and their digest.

    The digest is that of the images as a set, whatever their order or labels: the same images are the same window.
    """

    images: ByteImages
    labels: Labels | None
    source: str
    sha256: str

    def draw(self, settings: MonitorParams) -> tuple[ByteImages, Labels | None]:
        """Images and labels of at most `monitor.window_rows`, drawn by the seed; they keep their order."""
        rows = subset(len(self.images), settings.window_rows, settings.seed)
        return self.images[rows], None if self.labels is None else self.labels[rows]


@dataclass(frozen=True)
class ReferenceImages:
    """Validation images and labels; own: whether the champion's training used them for validation."""

    images: ByteImages
    labels: Labels
    own: bool

    def draw(self, settings: MonitorParams) -> tuple[ByteImages, Labels]:
        """Images and labels, at most `monitor.reference_rows`, drawn by the seed."""
        rows = subset(len(self.images), settings.reference_rows, settings.seed)
        return np.asarray(self.images[rows]), self.labels[rows].astype("int64")


def read_window(
    sources: Sequence[Path],
    classes: Sequence[str],
    spec: ImageSpec,
    with_labels: bool,
    least_rows: int,
    limits: Limits = OWN,
) -> Window:
    """The images of all sources together, in the size `spec`; labels only if every source has labels.

    classes: the champion's. A label is the name or the number of a class; another label is a new class.

    Raises:
        VaelineError: a source cannot be read, or there are fewer than `least_rows` images.
    """
    found = [read_image_set(source, spec, limits) for source in sources]
    images = np.concatenate([_fitted(source, each, spec) for source, each in zip(sources, found, strict=True)])
    if len(images) < least_rows:
        raise VaelineError(
            f"{_named(sources)}: {len(images)} images are too few for a test; monitor.least_rows is {least_rows}"
        )
    labelled = with_labels and all(each.classes != UNLABELLED for each in found)
    labels = np.concatenate([_numbers(each.classes, classes)[each.labels] for each in found]) if labelled else None
    return Window(images, labels, _named(sources), set_digest(images))


def reference_images(validation: Split, run: Run) -> ReferenceImages:
    """The validation rows that the champion's run names. Rows of batches accepted since then come after them.

    If the rows on disk are different, all of them are used. The champion was not trained on them if the seed of the
    split is still the same.
    """
    recorded = split_profile(run).get(VALIDATION, {})
    rows = int(recorded.get("rows", 0))
    if 0 < rows <= len(validation.images):
        first = np.asarray(validation.images[:rows])
        if npy_digest(first) == recorded.get("images_sha256"):
            return ReferenceImages(first, validation.labels[:rows], True)
    return ReferenceImages(validation.images[:], validation.labels, False)


def _fitted(source: Path, found: ImageSet, spec: ImageSpec) -> ByteImages:
    with named(source):
        return fit_bytes(found.images, spec)


def _named(sources: Sequence[Path]) -> str:
    return ", ".join(str(source) for source in sources)


def _numbers(own: Sequence[str], classes: Sequence[str]) -> Integer[np.ndarray, " classes"]:
    """The champion's number of each class of a source; unknown classes get the numbers after the champion's last."""
    unknown = [name for name in own if name not in classes and not _is_number(name, classes)]
    numbers = [
        list(classes).index(name)
        if name in classes
        else int(name)
        if _is_number(name, classes)
        else len(classes) + unknown.index(name)
        for name in own
    ]
    return np.array(numbers, "int64")


def _is_number(name: str, classes: Sequence[str]) -> bool:
    return name.isdecimal() and int(name) < len(classes)
