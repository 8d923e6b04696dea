"""The stated corruptions of benchmarks/validator on small data, and its quick judge beside Great Expectations."""

import importlib

import numpy as np
import pytest
from conftest import ROOT

from vaeline.data.prepared import Split
from vaeline.data.statistics import image_statistics
from vaeline.validation.batch import split_expectations
from vaeline.validation.checkpoint import validate

with pytest.MonkeyPatch.context() as patch:  # the benchmark's modules are no part of the package
    patch.syspath_prepend(str(ROOT / "benchmarks"))
    corruptions, judge, sets, table, trials = (
        importlib.import_module(f"validator.{name}") for name in ("corruptions", "judge", "sets", "table", "trials")
    )

BY_NAME = {corruption.name: corruption for corruption in corruptions.CORRUPTIONS}
STATED = {
    "inverted": (0.001, "of every image"),
    "blank": (0.001, "of every image"),
    "pixels shuffled": (0.01, "of every image"),
    "transposed": (0.1, "elongation"),
    "moved by 5 pixels": (0.01, "center_x"),
    "all turned": (20, "average"),
    "all noise": (10, "of every image"),
    "all salt and pepper": (0.0001, "specks"),
    "all bits flipped": (0.0001, "specks"),
    "dead pixels, black": (1, "no dead pixels"),
    "dead pixels, white": (1, "no dead pixels"),
    "a pixel black in some images": (0.1, "specks"),
    "wrong labels in train": (0.05, "plausible labels in train"),
    "wrong labels everywhere": (0.05, "plausible labels in train"),
    "two classes exchanged": (0.2, "plausible labels in train"),
    "unknown labels": (1, "label is known"),
    "a class lost from train": (1.0, "the classes of train occur"),
    "a class lost from test": (1.0, "the classes of test occur"),
    "copies in train": (10, "no exact duplicates"),
    "test images in train": (10, "no leakage between splits"),
    "test images in train, a pixel ± 1": (10, "look alike in two splits"),
    "test images in train, noise of σ 4": (10, "look alike in two splits"),
    "copies in train, a pixel ± 1": (10, "no images that look alike"),
    "NaN": (1, "no pixel is NaN"),
    "lines cut off": (1, "height"),
}


@pytest.fixture(scope="module")
def drawn(digits):
    """All digits, and drawn pictures as images of another kind."""
    foreign = sets.paint_pictures(50, 1)[0].mean(axis=3, keepdims=True).repeat(2, axis=1).repeat(2, axis=2)
    return sets.make_set("digits", digits.images, digits.labels, len(digits.labels), 1, foreign[:, :28, :28])


@pytest.fixture(scope="module")
def painted():
    """Colour pictures."""
    images, labels = sets.paint_pictures(2400, 1)
    return sets.make_set("pictures", images, labels, 2400, 1, images[:50, ::-1] // 2)


@pytest.mark.parametrize("name", STATED)
def test_a_stated_corruption_is_caught(drawn, name):
    strength, expected = STATED[name]
    names = judge.failed(trials.corrupt(drawn, BY_NAME[name], strength), drawn.profile)
    assert any(expected in found for found in names), names


@pytest.mark.parametrize(
    ("name", "strength"),
    [
        ("red and blue exchanged", 1.0),
        ("all redder", 20),
        ("dead pixels, black", 1),
        ("test images in train, a pixel ± 1", 10),
        ("wrong labels everywhere", 0.1),
    ],
)
def test_a_stated_corruption_of_colour_pictures_is_caught(painted, name, strength):
    assert judge.failed(trials.corrupt(painted, BY_NAME[name], strength), painted.profile)


def test_clean_splits_and_clean_parts_raise_no_alarm(drawn, painted, digits):
    for data in (drawn, painted):
        assert judge.failed(sets.copy_of(data.splits), data.profile) == []
    assert trials.alarms(digits.images, digits.labels, drawn.profile, 300, 12) == []


@pytest.mark.parametrize(
    ("name", "strength"),
    [("wrong labels everywhere", 0.05), ("dead pixels, black", 3), ("a class lost from test", 1.0)],
)
def test_the_quick_judge_says_what_great_expectations_says(drawn, tmp_path, name, strength):
    splits = trials.corrupt(drawn, BY_NAME[name], strength)
    found = validate(image_statistics(splits), drawn.profile, tmp_path / "docs")
    names = [failure.name for failure in found.failures]
    assert names == judge.failed(splits, drawn.profile)
    assert names


def test_the_quick_judge_widens_the_bands_of_images_without_splits(digits, drawn, tmp_path):
    splits = {"all": Split(digits.images[:300], (digits.labels[:300] + 1) % 10, np.arange(300))}
    of_class = dict(enumerate(np.bincount(splits["all"].labels).tolist()))
    expected = split_expectations(drawn.profile, {"all": 300}, of_class)
    found = validate(image_statistics(splits), drawn.profile, tmp_path / "docs", expected)
    assert [failure.name for failure in found.failures] == judge.failed(splits, drawn.profile)


def test_there_are_enough_corruptions_of_several_strengths_and_each_is_in_the_table():
    assert len(BY_NAME) == len(corruptions.CORRUPTIONS) >= 60
    assert sum(len(corruption.strengths) > 1 for corruption in corruptions.CORRUPTIONS) >= 60
    page = (ROOT / "benchmarks/validator/table.md").read_text(encoding="utf-8")
    assert {name for name in BY_NAME if f"\n| {name} |" not in page} == set()


def test_the_table_shows_what_is_caught_and_what_is_missed(tmp_path):
    outcomes = {("inverted", "A"): trials.Outcome(0.01, ["ink", "mean"]), ("blank", "A"): trials.Outcome(None, [])}
    table.write_table(tmp_path / "table.md", outcomes, {("A", 300): [], ("A", 1000): ["ink"]}, ["A"], 100)
    page = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| inverted | 0.001, 0.01, 0.1, 1 of train | 0.01: ink |" in page
    assert "| blank | 0.001, 0.01, 0.1, 1 of train | **missed** |" in page
    assert "1 of 2 cases are caught" in page
    assert "| A | 0 | 1 (ink) |" in page
