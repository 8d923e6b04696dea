"""Images that are held back from training. Simulated batches are drawn from them."""

from pathlib import Path

import numpy as np

from vaeline.data.sources import TEST_IMAGES, TRAIN_IMAGES, TRAIN_LABELS
from vaeline.data.splits import split_source
from vaeline.errors import VaelineError
from vaeline.images.idx import read_idx, read_idx_images
from vaeline.images.types import ByteImages, Labels
from vaeline.outputs import RAW
from vaeline.own_files import read_json
from vaeline.params.whole import Params


def held_back(params: Params) -> tuple[ByteImages, Labels, tuple[str, ...]]:
    """Images, labels and class names of the rows of the source that the stage `prepare` leaves out.

    Raises:
        VaelineError: no images are held back, or the source is missing.
    """
    if not params.data.hold_back:
        raise VaelineError("simulate: data.hold_back in params.yaml is 0, so there are no images to draw from")
    raw = Path(RAW)
    images, labels = read_idx_images(raw / TRAIN_IMAGES), np.asarray(read_idx(raw / TRAIN_LABELS))
    about = read_json(raw / "source.json")
    data = params.data
    has_test = (raw / TEST_IMAGES).is_file()
    rows = split_source(
        labels,
        has_test,
        data.test_one_in,
        data.validation_one_in,
        data.seed,
        data.hold_back,
        own_validation=about.get("own_validation", 0),
        good=about["classes"].index(about["good"]) if "good" in about else None,
    )
    return np.asarray(images[rows["held_back"]]), labels[rows["held_back"]], tuple(about["classes"])
