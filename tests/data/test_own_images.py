from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from PIL import Image

from vaeline.data.own_images import Reading, UnusableFilesError, read_own_images, source_spec
from vaeline.errors import VaelineError
from vaeline.images import parallel, picture_array
from vaeline.images.limits import OWN
from vaeline.images.picture_array import read_into
from vaeline.images.pictures import read_picture
from vaeline.images.spec import ImageSpec
from vaeline.images.tiles import read_tiles
from vaeline.params.whole import read_params

SPEC = ImageSpec(height=12, width=10, channels=3, background="#808080", ink=False)


@pytest.fixture
def settings():
    return Reading(read_params(ROOT / "params.yaml").data.image, good="good", unreadable=0, limits=OWN)


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures of two classes, in colour and of one size."""
    rng = np.random.default_rng(0)
    for row in range(12):
        file = tmp_path / "own" / ("good" if row % 3 else "scratch") / f"{row:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 10, 3), dtype="uint8")).save(file)
    return tmp_path / "own"


def test_pictures_become_one_array_in_the_size_that_all_have(folder, settings, tmp_path):
    (folder / "good").rename(folder / "fine")
    found = read_own_images(folder, settings, tmp_path / "cache")
    assert found.spec == SPEC == source_spec(folder, settings)
    assert (found.classes, np.bincount(found.labels).tolist()) == (("fine", "scratch"), [8, 4])
    files = sorted(folder.rglob("*.png"))
    np.testing.assert_array_equal(found.images[3], read_picture(files[3], SPEC, OWN.pixels))
    assert {name: len(rows) for name, rows in found.rows.items()} == {"train": 12}


def test_the_good_ones_train_alone(folder, settings, tmp_path):
    for split in ("train", "test"):
        (folder / split).mkdir()
    (folder / "good").rename(folder / "train/good")
    (folder / "scratch").rename(folder / "test/scratch")
    found = read_own_images(folder, settings, tmp_path / "cache")
    assert found.about["good"] == "good"
    assert {name: len(rows) for name, rows in found.rows.items()} == {"train": 8, "test": 4}
    assert "only pictures of 'good' are trained on; scratch only test" in " ".join(found.notes)


def test_a_misspelt_good_class_and_a_source_without_training_images_are_refused(folder, settings, tmp_path):
    with pytest.raises(VaelineError, match=r"no class 'God' \(data\.good\); the classes are good, scratch"):
        read_own_images(folder, replace(settings, good="God"), tmp_path / "cache")
    table = tmp_path / "table.csv"
    table.write_text("path,split\n" + "".join(f"{file},test\n" for file in sorted(folder.rglob("*.png"))))
    with pytest.raises(VaelineError, match="no image to train on; all are in the splits test"):
        read_own_images(table, settings, tmp_path / "cache")


def test_arrays_train_on_the_good_ones_too(settings, tmp_path):
    images = np.zeros((6, 8, 8), "uint8")
    np.savez(tmp_path / "a.npz", x_train=images, y_train=[0, 0, 1, 0, 1, 0], x_test=images[:2], y_test=[0, 1])
    found = read_own_images(tmp_path / "a.npz", replace(settings, good="0"), tmp_path / "cache")
    assert {name: rows.tolist() for name, rows in found.rows.items()} == {"train": [0, 1, 3, 5], "test": [2, 4, 6, 7]}


def test_masks_are_fitted_like_their_pictures(folder, settings, tmp_path):
    for file in sorted((folder / "scratch").iterdir()):
        mask = Image.new("1", (20, 24))
        mask.paste(1, (0, 0, 10, 24))
        (folder / "masks/scratch").mkdir(parents=True, exist_ok=True)
        mask.save(folder / "masks/scratch" / file.name)
    found = read_own_images(folder, settings, tmp_path / "cache")
    assert (found.masks.shape, found.classes) == ((12, 12, 10, 1), ("good", "scratch"))
    defective = found.masks[found.labels == 1]
    assert (defective[:, :, :5] == 255).all()
    assert not defective[:, :, 5:].any()
    assert not found.masks[found.labels == 0].any()


def test_every_unusable_file_is_named_with_its_reason(folder, settings, tmp_path):
    (folder / "good/01.png").write_bytes((folder / "good/01.png").read_bytes()[:200])
    (folder / "good/02.png").write_text("no picture")
    (folder / "scratch/00.png").write_text("")
    with pytest.raises(
        UnusableFilesError, match=r"3 of 12 pictures cannot be used.*data\.unreadable allows 0"
    ) as error:
        read_own_images(folder, settings, tmp_path / "cache")
    reasons = {item.file.name: item.reason for item in error.value.unusable}
    assert "an empty file" in reasons["00.png"]
    assert "not a PNG" in reasons["02.png"]
    assert "broken" in reasons["01.png"]
    found = read_own_images(folder, replace(settings, unreadable=3), tmp_path / "cache")
    assert sum(len(rows) for rows in found.rows.values()) == 9
    assert {item.file.name for item in found.unusable} == set(reasons)
    assert found.images[found.rows["train"]].any(axis=(1, 2, 3)).all(), "no row of a broken file is left"


def test_a_reading_that_was_stopped_goes_on(folder, tmp_path, monkeypatch):
    files = tuple(sorted(folder.rglob("*.png")))
    monkeypatch.setattr(picture_array, "FILES_BETWEEN_SAVES", 5)
    monkeypatch.setattr(parallel, "CHUNK", 2)
    whole, _ = read_into(files, SPEC, OWN.pixels, tmp_path / "whole")
    read = []

    def stop(file, **arguments):
        read.append(file)
        if len(read) == 8:
            raise KeyboardInterrupt
        return read_tiles(file, **arguments)

    monkeypatch.setattr(picture_array, "read_tiles", stop)
    with pytest.raises(KeyboardInterrupt):
        read_into(files, SPEC, OWN.pixels, tmp_path / "cache")
    resumed, _ = read_into(files, SPEC, OWN.pixels, tmp_path / "cache")
    np.testing.assert_array_equal(resumed, whole)
    assert read[8:] == list(files[6:])
    (folder / "good/01.png").touch()
    os_times = tuple(sorted(folder.rglob("*.png")))
    read_into(os_times, SPEC, OWN.pixels, tmp_path / "cache")
    assert len(read) == 8 + 6 + 12, "a changed file is read again"


def write_lists(path, numbers, **columns):
    column = pa.array([[1] * numbers] * 4, pa.list_(pa.uint8()))
    pq.write_table(pa.table({"image": column, **columns}), path)
    return path


def test_flat_lists_without_a_size_are_grey_squares_and_that_is_said(settings, tmp_path):
    path = write_lists(tmp_path / "a.parquet", 144)
    found = read_own_images(path, settings, tmp_path / "cache")
    assert found.images.shape == (4, 12, 12, 1)
    assert "lists of 144 numbers were taken for grey squares" in found.notes[0]
    assert "data.image" in found.notes[0]
    with pytest.raises(VaelineError, match=r"shape \[192\].*; say height, width and channels in data\.image"):
        read_own_images(write_lists(path, 192), settings, tmp_path / "cache")
    size = settings.image.model_copy(update={"height": 8, "width": 8, "channels": 3})
    found = read_own_images(path, replace(settings, image=size), tmp_path / "cache")
    assert (found.images.shape, "lists of" in found.notes[0]) == ((4, 8, 8, 3), False)


def test_groups_of_a_parquet_file_are_a_column(settings, tmp_path):
    path = write_lists(tmp_path / "a.parquet", 64, person=["p", "q", "p", "r"])
    named = replace(settings, groups="person", near_duplicates=False)
    assert len(set(read_own_images(path, named, tmp_path / "cache").groups)) == 3
    with pytest.raises(VaelineError, match=r"data\.groups 'age' is no column; there are image, person"):
        read_own_images(path, replace(named, groups="age"), tmp_path / "cache")
    write_lists(path, 64, person=["p", None, "p", "r"])
    with pytest.raises(VaelineError, match=r"rows without a value of data\.groups 'person'"):
        read_own_images(path, named, tmp_path / "cache")
    np.save(tmp_path / "a.npy", np.zeros((4, 8, 8), "uint8"))
    with pytest.raises(VaelineError, match=r"a\.npy: has no column 'person' for data\.groups; set it to ''"):
        read_own_images(tmp_path / "a.npy", named, tmp_path / "cache")


def test_copies_share_a_group_and_sizes_of_pictures_are_kept(folder, settings, tmp_path):
    Image.open(folder / "good/01.png").save(folder / "good/01 again.bmp")
    Image.open(folder / "good/02.png").resize((30, 36), Image.Resampling.NEAREST).save(folder / "good/02 large.png")
    (folder / "scratch/00.png").write_text("")
    size = settings.image.model_copy(update={"height": 12, "width": 10})
    found = read_own_images(folder, replace(settings, image=size, unreadable=1), tmp_path / "cache")
    assert len(found.groups) == len(found.source_sizes) == len(found.images) == 13
    rows = {file.name: row for row, file in enumerate(sorted(folder.rglob("*.*"))[:-4])}
    assert found.groups[rows["01.png"]] == found.groups[rows["01 again.bmp"]]
    assert found.source_sizes[rows["02 large.png"]].tolist() == [36, 30]
    assert found.about["duplicates"]["equal"] == 1


def test_images_that_an_experiment_lacks_are_explained(settings, tmp_path, monkeypatch):
    (tmp_path / "data/own").mkdir(parents=True)
    (tmp_path / "experiment").mkdir()
    monkeypatch.chdir(tmp_path / "experiment")
    for root, sentence in ((str(tmp_path), "add `--copy-paths data/own`"), ("", "data/own: no such file or folder")):
        monkeypatch.setenv("DVC_ROOT", root)
        with pytest.raises(VaelineError, match=sentence):
            read_own_images(Path("data/own"), settings, tmp_path / "cache")
