from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT
from image_parts import in_parts

from vaeline.data import masks, raw
from vaeline.data.annotations import TRAIN_GROUPS, read_groups, read_source_sizes
from vaeline.data.masks import TRAIN_MASKS, read_test_masks
from vaeline.data.own_images import OwnImages, Reading
from vaeline.data.prepared import SOURCE_SIZES, read_prepared, write_prepared
from vaeline.data.raw import fit_built_in, group_built_in, write_own_images
from vaeline.data.sources import TEST_IMAGES, TRAIN_IMAGES
from vaeline.errors import VaelineError
from vaeline.images import lazy
from vaeline.images.fitting import fit_bytes
from vaeline.images.idx import write_idx_images
from vaeline.images.limits import OWN
from vaeline.images.spec import ImageSpec
from vaeline.params.whole import read_params

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype="uint8")
SIZES = np.arange(12, dtype="int32").reshape(6, 2) + 300
SPEC = ImageSpec(height=8, width=8, channels=3, ink=False)


@pytest.fixture
def reading():
    return Reading(read_params(ROOT / "params.yaml").data.image, good="good", unreadable=0, limits=OWN)


def test_groups_and_sizes_follow_their_images_into_the_splits(tmp_path):
    rows = {"train": np.array([5, 0, 3]), "validation": np.array([1]), "test": np.array([4, 2])}
    groups = np.array([9, 9, 1, 300, 4, 5])
    labels = np.zeros(6, "uint8")
    facts = {"notes": (), "about": {}, "groups": groups, "source_sizes": SIZES}
    write_own_images(OwnImages(IMAGES, labels, ("a",), rows, SPEC, **facts), tmp_path)
    assert read_groups(tmp_path).tolist() == [5, 9, 300, 9]
    taken = {"train": np.array([2, 0, 7]), "validation": np.array([3]), "test": np.array([1])}
    sizes = read_source_sizes(tmp_path, taken, has_test=True)
    np.testing.assert_array_equal(sizes["train"], [SIZES[3], SIZES[5], [0, 0]])
    np.testing.assert_array_equal(sizes["test"], [SIZES[2]])
    own = {name: (IMAGES, labels, rows) for name, rows in taken.items() if name != "train"}
    own["train"] = (IMAGES, labels, np.array([2, 0, 5]))
    about = {"classes": ["a"], "image": SPEC.model_dump()}
    write_prepared(tmp_path / "prepared", own, about, annotations={SOURCE_SIZES: sizes})
    found = read_prepared(tmp_path / "prepared").splits
    np.testing.assert_array_equal(found["train"].source_sizes, sizes["train"])


def test_built_in_images_are_fitted_in_parts(tmp_path, reading, monkeypatch):
    monkeypatch.setattr(lazy, "NUMBERS_AT_ONCE", 4 * 8 * 8 * 3)
    for file, images in ((TRAIN_IMAGES, IMAGES), (TEST_IMAGES, IMAGES[:5])):
        write_idx_images(tmp_path / file, images)
    read = raw.read_idx_images
    monkeypatch.setattr(raw, "read_idx_images", lambda file: in_parts(read(file), 1))
    wanted = ImageSpec(height=16, width=12, channels=3)
    assert fit_built_in(tmp_path, reading.image, wanted) == {"image": wanted.model_dump()}
    np.testing.assert_array_equal(read(tmp_path / TRAIN_IMAGES), fit_bytes(IMAGES, wanted))
    np.testing.assert_array_equal(read(tmp_path / TEST_IMAGES), fit_bytes(IMAGES[:5], wanted))


def test_masks_of_the_test_images_are_copied_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(lazy, "NUMBERS_AT_ONCE", 2 * 8 * 8)
    stored, rows = IMAGES[..., :1], np.array([5, 0, 3])
    write_idx_images(tmp_path / TRAIN_MASKS, stored)
    read = masks.read_idx_images
    monkeypatch.setattr(masks, "read_idx_images", lambda file: in_parts(read(file), 2))
    splits = {"test": (stored, np.zeros(6, "uint8"), rows)}
    write_prepared(tmp_path / "prepared", splits, {"classes": ["a"]}, read_test_masks(tmp_path, rows, False))
    np.save(tmp_path / "whole.npy", stored[rows])
    assert (tmp_path / "prepared/test_masks-00000.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_images_without_groups_and_sizes_have_no_files_of_them(tmp_path):
    facts = {"notes": (), "about": {}}
    write_own_images(OwnImages(IMAGES, np.zeros(6, "uint8"), ("a",), {"train": np.arange(6)}, SPEC, **facts), tmp_path)
    assert not [file for file in tmp_path.iterdir() if "groups" in file.name or "sizes" in file.name]
    assert read_groups(tmp_path) is None
    assert read_source_sizes(tmp_path, {"train": np.arange(6)}, has_test=False) is None


def test_built_in_sets_have_groups_only_if_they_are_wanted(tmp_path, reading):
    write_idx_images(tmp_path / TRAIN_IMAGES, IMAGES[[0, 1, 0, 2]])
    assert group_built_in(tmp_path, reading) == []
    assert not (tmp_path / TRAIN_GROUPS).exists()
    notes = group_built_in(tmp_path, replace(reading, near_duplicates=True))
    assert notes == ["images that are equal to another: 1; that only look like another: 0"]
    groups = read_groups(tmp_path)
    assert groups[0] == groups[2]
    assert len(set(groups)) == 3
    with pytest.raises(VaelineError, match=r"data\.groups 'x': built-in data sets have no groups"):
        group_built_in(tmp_path, replace(reading, groups="x"))
