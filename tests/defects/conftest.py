"""Tiles with defects, and an untrained model of them."""

from dataclasses import dataclass

import numpy as np
import pytest

from vaeline.data.prepared import Prepared, read_prepared, write_prepared
from vaeline.evaluation.subject import Subject
from vaeline.images.spec import ImageSpec
from vaeline.models.build import build_model
from vaeline.params.whole import Params

TILE = ImageSpec(height=16, width=20, channels=1, ink=False)
CLASSES = ["good", "scratch", "spot"]


@dataclass(frozen=True)
class Tiles:
    """Images (count, 16, 20, 1) uint8 of a grey texture, labels by `CLASSES`, and the masks of their defects."""

    images: np.ndarray
    labels: np.ndarray
    masks: np.ndarray


@pytest.fixture(scope="session")
def tiles() -> Tiles:
    """Sixty good tiles, ten with a dark scratch and ten with a light spot."""
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1, 2], [60, 10, 10])
    images = 128 + 12 * rng.standard_normal((len(labels), *TILE.shape))
    masks = np.zeros(images.shape, "uint8")
    for row in np.flatnonzero(labels):
        top, left = rng.integers(2, 10), rng.integers(2, 12)
        height, width = (2, 8) if labels[row] == 1 else (4, 4)
        masks[row, top : top + height, left : left + width] = 255
        images[row] += np.where(masks[row] > 0, -90 if labels[row] == 1 else 90, 0)
    return Tiles(np.clip(images, 0, 255).astype("uint8"), labels, masks)


@pytest.fixture(scope="session")
def prepared_tiles(tiles: Tiles, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The tiles as prepared data: 30 good ones to train on, 15 for validation, the others to test."""
    directory = tmp_path_factory.mktemp("tiles") / "prepared"
    rows = {"train": np.arange(30), "validation": np.arange(30, 45), "test": np.arange(45, 80)}
    about = {"dataset": "tiles", "name": "tiles", "title": "tiles", "classes": CLASSES, "good": "good"}
    sources = {name: (tiles.images, tiles.labels, taken) for name, taken in rows.items()}
    write_prepared(directory, sources, about | {"image": TILE.model_dump()}, tiles.masks[rows["test"]])
    return read_prepared(directory)


@pytest.fixture(scope="session")
def tile_subject(params: Params, prepared_tiles: Prepared) -> Subject:
    """An untrained model, whose reconstructions are the mean training image, and the tiles."""
    small = {"architecture": "mlp", "latent_dim": 2, "likelihood": "mse", "width": 8, "depth": 1}
    model = build_model(params.model.model_copy(update=small), TILE, len(CLASSES), 1)
    train = prepared_tiles.splits["train"]
    model.initialize(train.images, train.labels)
    return Subject(model, prepared_tiles, 1)
