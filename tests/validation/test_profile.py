from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from ruamel.yaml import YAML

from vaeline.data.prepared import Split
from vaeline.data.sources import SOURCES
from vaeline.data.statistics import COLOUR, GREY, INK, family_of, image_statistics
from vaeline.errors import VaelineError
from vaeline.images.spec import ImageSpec
from vaeline.validation.checkpoint import validate
from vaeline.validation.expectations import build_expectations
from vaeline.validation.profile import (
    Profile,
    _class_shares,
    class_shares,
    make_profile,
    profile_path,
    read_profile,
    share_band,
    write_profile,
)


@pytest.mark.parametrize("name", [*SOURCES, "digits"])
def test_every_known_data_set_has_a_profile_of_its_name(name):
    profile = read_profile(ROOT / profile_path("auto", name))
    assert profile.name == name
    assert set(profile.rows) == {"train", "validation", "test", "source", "all"}


def test_a_made_profile_is_read_back_and_fits_the_data_it_came_from(prepared, tmp_path):
    table = image_statistics(prepared.splits)
    made = make_profile(table, "mine")
    write_profile(made, tmp_path / "mine.yaml")
    assert read_profile(tmp_path / "mine.yaml") == made
    assert validate(table, made, tmp_path / "docs").passed
    assert made.rows["train"] == [1372, 1372]
    assert made.every_image["max"][1] == 255.0


def test_a_missing_profile_says_how_to_make_one(tmp_path):
    with pytest.raises(VaelineError, match="vaeline profile PATH --name shapes"):
        read_profile(tmp_path / "shapes.yaml")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("class_shares", {0: [0.1, 0.2]}, "class_shares needs one band for each of 10 classes"),
        ("doubts", {300: 1.5}, "doubts"),
        ("every_image", {"mean": [0, 1]}, "bands of min, max"),
        ("class_share", [0.1], "class_share"),
        ("leeks", 0.0, "leeks"),
        ("classes", 9, "one band for each of 9 classes"),
    ],
)
def test_a_profile_without_all_its_thresholds_is_refused(tmp_path, key, value, sentence):
    content = YAML(typ="safe").load((ROOT / "data/profiles/digits.yaml").read_text())
    with (tmp_path / "x.yaml").open("w") as stream:
        YAML().dump(content | {key: value}, stream)
    with pytest.raises(VaelineError, match=sentence):
        read_profile(tmp_path / "x.yaml")


@pytest.fixture
def pictures():
    """Three splits of pictures in colour, of two classes, whose sizes are known in train alone."""
    rng, splits = np.random.default_rng(0), {}
    for name, rows in (("train", 60), ("validation", 20), ("test", 20)):
        images = rng.integers(0, 256, (rows, 10, 12, 3), dtype="uint8")
        splits[name] = Split(images, np.arange(rows, dtype="uint8") % 2, np.arange(rows))
    sizes = rng.integers(90, 120, (60, 2), dtype="int32")
    return splits | {"train": replace(splits["train"], source_sizes=sizes)}


def spec_of(splits, **fitted):
    return ImageSpec.model_validate({"height": 10, "width": 12, "channels": splits["train"].images.shape[3], **fitted})


def profile_of(splits):
    spec = spec_of(splits, ink=False, background="#808080")
    return make_profile(image_statistics(splits, family_of(spec)), "pictures", spec, family_of(spec))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_profile_of_pictures_asks_for_statistics_of_pictures(pictures, channels, tmp_path):
    splits = {name: replace(split, images=split.images[..., :channels]) for name, split in pictures.items()}
    made = profile_of(splits)
    write_profile(made, tmp_path / "pictures.yaml")
    found = read_profile(tmp_path / "pictures.yaml")
    assert found == made
    assert found.family == (COLOUR if channels == 3 else GREY)
    assert found.image == spec_of(splits, ink=False, background="#808080")
    assert {"ink", "elongation"} & set(found.every_image) == set()
    low, high = found.every_image["source_height"]
    assert 80 < low < 90
    assert 119 < high < 125
    assert validate(image_statistics(splits, found.family), found, tmp_path / "docs").failures == []


def test_other_colours_blur_other_sizes_and_look_alikes_are_found(pictures, tmp_path):
    profile = profile_of(pictures)
    train, test = pictures["train"], pictures["test"]
    images, test_images, sizes = train.images.copy(), test.images.copy(), train.source_sizes.copy()
    images[3, ..., 2] = 0
    images[5] = images[5].mean(axis=(0, 1))
    images[7] = images[7] // 8 * 8
    test_images[2] = images[9] // 8 * 8
    sizes[11] = 20
    faulty = {"train": replace(train, images=images, source_sizes=sizes), "test": replace(test, images=test_images)}
    verdict = validate(image_statistics(pictures | faulty, COLOUR), profile, tmp_path / "docs")
    named = {failure.name: failure.image_ids for failure in verdict.failures}
    assert named["mean_blue of every image"] == ["train/3"]
    assert "train/5" in named["sharpness of every image"]
    assert "train/5" in named["entropy of every image"]
    assert named["source_height of every image"] == ["train/11"]
    assert set(named["no images that look alike in two splits"]) == {"train/9", "test/2"}


@pytest.mark.parametrize(("pairs", "least", "most"), [(0, 0.0, 0.0), (10, 0.56, 0.57), (30, 1.0, 1.0)])
def test_the_share_of_look_alikes_has_room_for_chance_unless_there_are_none(pictures, pairs, least, most):
    train = pictures["train"]
    images = np.concatenate([train.images[:pairs] // 2, train.images[pairs:60]])
    images[30 : 30 + pairs] = train.images[:pairs]
    made = profile_of({"train": replace(train, images=images)})
    assert least <= made.alike <= most


def test_a_profile_without_its_shares_of_look_alikes_is_refused(pictures, prepared):
    made = profile_of(pictures).model_dump()
    with pytest.raises(ValueError, match="the shares alike and alike_leaks are required"):
        Profile.model_validate(made | {"alike_leaks": None})
    of_ink = make_profile(image_statistics(prepared.splits), "ink").model_dump()
    with pytest.raises(ValueError, match="the shares alike and alike_leaks are required"):
        Profile.model_validate(of_ink | {"alike": None})
    assert Profile.model_validate(of_ink | {"alike": None, "alike_leaks": None}).family == INK
    without = {
        name: band for name, band in made["every_image"].items() if "source" not in name and name != "proportions"
    }
    assert Profile.model_validate(made | {"every_image": without}).family == COLOUR


NEW = ("split_classes", "class_shares", "dead", "doubts")


def test_a_profile_from_before_stays_valid_and_asks_for_what_it_names(prepared, tmp_path):
    table = image_statistics(prepared.splits)
    before = make_profile(table, "mine", doubtful={1797: 0.01}).model_dump(exclude=set(NEW))
    before |= {"alike": None, "alike_leaks": None}
    for part in ("every_image", "average", "deviation"):
        del before[part]["specks"]
    write_profile(Profile.model_validate(before), tmp_path / "mine.yaml")
    profile = read_profile(tmp_path / "mine.yaml")
    rows = {name: len(split.labels) for name, split in prepared.splits.items()}
    asked = {item.name for item in build_expectations(profile, rows)}
    now = {item.name for item in build_expectations(make_profile(table, "mine", doubtful={1797: 0.01}), rows)}
    assert not {name for name in asked if "look alike" in name or "specks of" in name or "plausible" in name}
    assert {"plausible labels in test", "no dead pixels", "specks of every image", "share of class 3"} <= now - asked
    assert asked < now


def test_limits_of_doubtful_labels_have_room_and_fall_with_the_number_of_images(prepared):
    doubtful = {300: 0.1, 1000: 0.02}
    profile = make_profile(image_statistics(prepared.splits), "mine", doubtful=doubtful)
    assert profile.doubts == {300: 0.115, 1000: 0.023}
    limits = {}
    for rows in (299, 300, 550, 1000, 5000):
        asked = [item for item in build_expectations(profile, {"all": rows}) if item.name == "plausible labels in all"]
        limits[rows] = 1 - asked[0].arguments["mostly"] if asked else None
    assert limits[299] is None
    assert 0.115 < limits[300] < 0.2
    assert limits[300] > limits[550] > limits[1000] > limits[5000] > 0.023


def test_a_class_that_a_split_lacks_may_lack_there_alone(pictures, tmp_path):
    good = {name: replace(split, labels=np.zeros_like(split.labels)) for name, split in pictures.items()}
    made = profile_of(good | {"test": pictures["test"]})
    assert made.split_classes == {"source": 1, "test": 2, "train": 1, "validation": 1}
    assert (
        validate(
            image_statistics(good | {"test": pictures["test"]}, COLOUR),
            made,
            tmp_path / "docs",
            [
                item
                for item in build_expectations(made, {name: len(split.labels) for name, split in good.items()})
                if "class" in item.name or "label" in item.name
            ],
        ).failures
        == []
    )


def test_many_classes_have_no_bands_of_their_own(pictures, tmp_path):
    many = {name: replace(split, labels=np.arange(len(split.labels)) * 25) for name, split in pictures.items()}
    made = profile_of(many)
    assert (made.classes, made.class_average) == (1476, {})
    table = image_statistics(many, COLOUR)
    assert {failure.name for failure in validate(table, made, tmp_path / "docs").failures} == {"every label occurs"}
    table.loc[4, "label"] = 1476
    expected = [
        item
        for item in build_expectations(made, {name: len(split.labels) for name, split in many.items()})
        if item.name == "label is known"
    ]
    (failure,) = validate(table, made, tmp_path / "docs", expected).failures
    assert failure.image_ids == ["train/4"]


def test_the_band_of_class_shares_has_room_for_chance_in_a_small_split():
    rng = np.random.default_rng(0)
    splits, labels = np.repeat(["train", "validation"], [1500, 150]), np.arange(1650) % 10
    low, high = share_band(pd.DataFrame({"split": splits, "label": labels}))
    drawn = [np.bincount(rng.integers(0, 10, 150), minlength=10) / 150 for _ in range(300)]
    outside = np.mean([(shares.min() < low) or (shares.max() > high) for shares in drawn])
    assert outside < 0.02
    assert 0.15 < high < 0.25
    assert share_band(pd.DataFrame({"split": ["train"] * 5, "label": [0] * 5}))[1] == 1


def test_each_class_has_a_band_around_its_own_share():
    labels = np.repeat([0, 1, 2], [60_000, 30_000, 10_000])
    table = pd.DataFrame({"split": np.where(np.arange(100_000) % 10, "train", "test"), "label": labels})
    bands = _class_shares(table)
    for label, share in enumerate((0.6, 0.3, 0.1)):
        low, high = bands[label]
        assert 0.7 * share < low < 0.85 * share
        assert 1.15 * share < high < 1.3 * share
    lost = table[(table["label"] != 2) | (table.index % 2 == 0)]
    assert class_shares(lost)[lost["label"] == 2].min() < bands[2][0]
