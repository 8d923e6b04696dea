"""The data of the benchmark: images in three splits, and their profiles."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vaeline.data.image_sets import read_image_set
from vaeline.data.label_noise import doubtful_shares
from vaeline.data.prepared import Split
from vaeline.data.sources import MNIST_IMAGE
from vaeline.data.splits import hold_out
from vaeline.data.statistics import family_of, image_statistics
from vaeline.images.spec import ImageSpec
from vaeline.validation.profile import Profile, make_profile

SIDE = 20
PAINTS = {"red": (210, 60, 50), "green": (50, 170, 70), "blue": (60, 70, 210), "grey": (128, 128, 128)}
Splits = dict[str, Split]


@dataclass(frozen=True)
class DataSet:
    """Clean splits of a data set, the profile made from them, and images of another kind."""

    name: str
    splits: Splits
    profile: Profile
    foreign: np.ndarray


def read_drawings(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """All images (70000, 28, 28, 1) and labels of four files in MNIST's format."""
    found = read_image_set(folder, MNIST_IMAGE)
    assert found.test_images is not None
    assert found.test_labels is not None
    images = np.concatenate([np.asarray(found.images[:]), np.asarray(found.test_images[:])])
    return images, np.concatenate([found.labels, found.test_labels])


def paint_pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Discs and bars of four colours on noisy ground, uint8 (count, 20, 20, 3), and the numbers of eight classes."""
    rng, labels = np.random.default_rng(seed), np.arange(count) % (2 * len(PAINTS))
    down, right = np.indices((SIDE, SIDE))[:, None]
    y, x, size = (rng.uniform(low, high, (count, 1, 1)) for low, high in ((7, 13), (7, 13), (3.5, 5.5)))
    disc = (down - y) ** 2 + (right - x) ** 2 < size**2
    bar = (np.abs(down - y) < size * 0.4) & (np.abs(right - x) < size * 1.5)
    shape = np.where((labels < len(PAINTS))[:, None, None], disc, bar)[..., None]
    paints = np.array(list(PAINTS.values()))[labels % len(PAINTS)][:, None, None]
    ground = rng.uniform(80, 170, (count, 1, 1, 3)) + rng.normal(0, 1, (count, 1, 1, 3)) * right[..., None]
    pictures = np.where(shape, paints, ground) + rng.normal(0, 6, (count, SIDE, SIDE, 3))
    return np.clip(pictures, 0, 255).astype("uint8"), labels.astype("uint8")


def make_set(name: str, images: np.ndarray, labels: np.ndarray, rows: int, seed: int, foreign: np.ndarray) -> DataSet:
    """A data set of `rows` random images: a sixth for test, a twelfth of the rest for validation."""
    chosen = np.random.default_rng(seed).choice(len(images), rows, replace=False)
    rest, test = hold_out(labels[chosen], 6, seed, "test")
    train, validation = hold_out(labels[chosen][rest], 12, seed, "validation")
    taken = {"train": rest[train], "validation": rest[validation], "test": test}
    splits = {name: Split(images[chosen[part]], labels[chosen[part]], part) for name, part in taken.items()}
    return DataSet(name, splits, profile_of(splits, name), foreign)


def profile_of(splits: Splits, name: str) -> Profile:
    """The profile that `vaeline profile` writes for these splits."""
    family = family_of(spec_of(splits))
    parts = list(splits.values())
    doubtful = doubtful_shares([split.images for split in parts], [split.labels for split in parts])
    return make_profile(image_statistics(splits, family), name, spec_of(splits), family, doubtful)


def spec_of(splits: Splits) -> ImageSpec:
    """The size of the images."""
    return ImageSpec.of_shape(next(iter(splits.values())).images.shape[1:])


def copy_of(splits: Splits) -> Splits:
    """Splits whose images and labels can be changed."""
    return {
        name: replace(split, images=np.array(split.images[:]), labels=split.labels.astype("int64"))
        for name, split in splits.items()
    }
