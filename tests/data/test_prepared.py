import json
import shutil

import numpy as np
import pytest

from vaeline.artifacts import digest, write_json
from vaeline.data.prepared import SPLITS, mean_image, read_prepared, write_prepared
from vaeline.data.splits import hold_out
from vaeline.errors import VaelineError
from vaeline.images.digests import npy_digest


def test_splits_are_stratified_disjoint_and_seeded():
    labels = np.repeat(np.arange(10), 600)
    rest, held = hold_out(labels, 12, 1, "validation")
    assert len(held) == 500
    assert np.bincount(labels[held]).tolist() == [50] * 10
    assert sorted([*rest, *held]) == list(range(6000))
    np.testing.assert_array_equal(held, hold_out(labels, 12, 1, "validation")[1])
    assert not np.array_equal(held, hold_out(labels, 12, 2, "validation")[1])


def test_a_class_of_one_cannot_be_split():
    with pytest.raises(VaelineError, match="no validation split of 1 from 12 images"):
        hold_out(np.array([0] * 11 + [1]), 12, 1, "validation")


def test_rows_labels_and_indices_belong_together(prepared, digits):
    for name in SPLITS:
        split = prepared.splits[name]
        np.testing.assert_array_equal(split.images[:], digits.images[split.indices])
        np.testing.assert_array_equal(split.labels, digits.labels[split.indices])


def test_the_manifest_counts_and_digests_what_is_there(prepared, prepared_directory):
    for name in SPLITS:
        about = prepared.manifest["splits"][name]
        assert about["rows"] == len(prepared.splits[name].images)
        assert about["rows_per_class"] == np.bincount(prepared.splits[name].labels).tolist()
        assert about["images_sha256"] == npy_digest(prepared.splits[name].images)
        assert about["labels_sha256"] == digest(prepared_directory / f"{name}_labels.npy")


def test_the_same_data_gives_the_same_bytes(prepared, prepared_directory, tmp_path):
    about = {key: value for key, value in prepared.manifest.items() if key != "splits"}
    order = {name: np.arange(len(split.images)) for name, split in prepared.splits.items()}
    sources = {name: (split.images, split.labels, order[name]) for name, split in prepared.splits.items()}
    for copy in ("first", "second"):
        write_prepared(tmp_path / copy, sources, about)
    assert digest(tmp_path / "first") == digest(tmp_path / "second")


def test_labels_of_many_classes_fitting_and_masks_are_kept(tmp_path):
    images, labels = np.zeros((4, 8, 8, 1), "uint8"), np.array([0, 1, 299, 2], "uint16")
    image = {"height": 8, "width": 8, "channels": 1, "fit": "crop", "background": "#808080", "ink": False}
    about = {"classes": [str(number) for number in range(300)], "image": image}
    masks = np.full((1, 8, 8, 1), 255, "uint8")
    splits = {"train": (images, labels, np.array([2, 0])), "test": (images, labels, np.array([3]))}
    write_prepared(tmp_path / "prepared", splits, about, masks)
    found = read_prepared(tmp_path / "prepared")
    assert found.splits["train"].labels.tolist() == [299, 0]
    assert found.image.model_dump() == image
    np.testing.assert_array_equal(found.test_masks[:], masks)


def test_many_shards_are_one_array_and_change_nothing_else(prepared, prepared_shards):
    shards = prepared_shards("shards", 97 * 28 * 28 + 1)
    found = read_prepared(shards)
    for name, split in prepared.splits.items():
        rows = [about["rows"] for about in found.manifest["shards"][f"{name}_images"]]
        assert rows == [97] * (len(split.images) // 97) + [len(split.images) % 97]
        for number, about in enumerate(found.manifest["shards"][f"{name}_images"]):
            file = shards / f"{name}_images-{number:05}.npy"
            assert (len(np.load(file)), digest(file)) == (about["rows"], about["sha256"])
        np.testing.assert_array_equal(found.splits[name].images[:], split.images[:])
        np.testing.assert_array_equal(found.splits[name].labels, split.labels)
    without = [{**each.manifest, "shards": None} for each in (prepared, found)]
    assert without[0] == without[1], "the digests of splits do not depend on the size of shards"


def test_an_image_larger_than_a_shard_is_a_shard_of_its_own(prepared_shards):
    rows = read_prepared(prepared_shards("shards", 10)).manifest["shards"]["validation_images"]
    assert {about["rows"] for about in rows} == {1}


def test_shards_that_do_not_fit_the_manifest_are_named(prepared_shards):
    folder = prepared_shards("shards", 100 * 28 * 28)
    second = folder / "train_images-00001.npy"
    np.save(second, np.zeros((100, 28, 28, 1), "float32"))
    with pytest.raises(VaelineError, match=r"train_images-00001\.npy: has float32 images of shape \(28, 28, 1\)"):
        read_prepared(folder)
    second.unlink()
    with pytest.raises(VaelineError, match=r"train_images-00001\.npy: cannot be read"):
        read_prepared(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["shards"]
    write_json(folder / "manifest.json", manifest)
    with pytest.raises(VaelineError, match=r"names no shards.*`dvc repro prepare` makes it again"):
        read_prepared(folder)


def test_a_missing_or_short_array_is_named(prepared_directory, tmp_path):
    with pytest.raises(VaelineError, match=r"no manifest\.json"):
        read_prepared(tmp_path)
    copy = shutil.copytree(prepared_directory, tmp_path / "copy")
    np.save(copy / "test_labels.npy", np.zeros(3, "uint8"))
    with pytest.raises(VaelineError, match=r"test_labels\.npy: 3 rows, the manifest counts"):
        read_prepared(copy)
    (copy / "test_labels.npy").unlink()
    with pytest.raises(VaelineError, match=r"test_labels\.npy: cannot be read"):
        read_prepared(copy)


def test_the_mean_image_does_not_depend_on_the_rows_read_at_a_time(digits, monkeypatch):
    monkeypatch.setattr("vaeline.images.lazy.NUMBERS_AT_ONCE", 100 * 784)
    np.testing.assert_allclose(mean_image(digits.images), digits.images.mean(axis=0) / 255, rtol=1e-10)
