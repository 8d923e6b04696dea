"""Batches meet bands that widen with chance, and single images those that do not."""

import math

import numpy as np
import pytest
from conftest import ROOT

from vaeline.data.prepared import Split
from vaeline.data.statistics import image_statistics
from vaeline.validation.batch import BATCH, batch_expectations, split_expectations
from vaeline.validation.checkpoint import validate
from vaeline.validation.profile import class_shares, make_profile, read_profile, rows_added, with_rows


@pytest.fixture(scope="module")
def profile():
    return read_profile(ROOT / "data/profiles/digits.yaml")


def by_name(profile, rows, rows_of_class, false_alarms=0.01):
    return {item.name: item for item in batch_expectations(profile, rows, rows_of_class, false_alarms)}


def equally(rows):
    return dict.fromkeys(range(10), rows // 10)


def test_bands_of_single_images_stay_and_those_of_averages_and_shares_widen_with_the_standard_error(profile):
    few, many = by_name(profile, 100, equally(100)), by_name(profile, 10_000, equally(10_000))
    for column, band in profile.every_image.items():
        arguments = few[f"{column} of every image"].arguments
        assert (arguments["min_value"], arguments["max_value"]) == tuple(band)
    for name, band in {
        "average mean": profile.average["mean"],
        "average mean of class 3": profile.class_average["mean"][3],
        "class balance": profile.class_share,
    }.items():
        excess = [band[0] - found[name].arguments["min_value"] for found in (few, many)]
        assert excess[0] > 0
        assert math.isclose(excess[0], 10 * excess[1], rel_tol=1e-6), "a hundred times the rows, a tenth of the room"
    of_class, of_all = (few[name].arguments for name in ("average mean of class 3", "average mean"))
    room = of_class["max_value"] - profile.class_average["mean"][3][1]
    assert math.isclose(room, math.sqrt(10) * (of_all["max_value"] - profile.average["mean"][1]))


def test_fewer_false_alarms_ask_for_more_room(profile):
    seldom, often = (by_name(profile, 100, None, rate)["average ink"].arguments for rate in (0.001, 0.1))
    assert seldom["max_value"] > often["max_value"] > profile.average["ink"][1]


def test_a_class_may_lack_in_a_small_batch_only(profile):
    assert "every label occurs" not in by_name(profile, 30, {3: 30})
    assert "every label occurs" in by_name(profile, 1000, {3: 1000})
    assert "average mean of class 3" in by_name(profile, 30, {3: 30})
    assert "average mean of class 4" not in by_name(profile, 30, {3: 30})


def test_the_share_of_a_single_class_may_end_above_one(profile):
    alone = profile.model_copy(update={"class_share": [0.05, 1.15]})
    assert by_name(alone, 100, {0: 100})["class balance"].arguments["max_value"] == 1.15


def test_without_labels_nothing_is_asked_of_labels(profile):
    found = by_name(profile, 100, None)
    assert not [name for name in found if "class" in name]
    assert not {"label is known", "every label occurs"} & set(found)
    assert {"border of every image", "average ink", "dtype", "height"} <= set(found)


def misses(profile, table):
    """The bands of averages and shares that a batch with these statistics misses."""
    shares = class_shares(table.assign(split=BATCH)).to_numpy()
    columns = {name: table[name].to_numpy() for name in ("label", *profile.average)} | {"class_share": shares}
    of_class = dict(zip(*np.unique(columns["label"], return_counts=True), strict=True))
    for item in batch_expectations(profile, len(table), of_class, 0.01):
        column, low, high = (item.arguments.get(key) for key in ("column", "min_value", "max_value"))
        if item.type == "ExpectColumnMeanToBeBetween":
            rows = columns["label"] == item.where[1] if item.where else slice(None)
            if not low <= columns[column][rows].mean() <= high:
                yield item.name
        elif item.name == "class balance" and not (low <= shares.min() and shares.max() <= high):
            yield item.name


@pytest.mark.parametrize("rows", [20, 200])
def test_clean_batches_of_any_size_are_seldom_refused(prepared, profile, rows):
    table, rng = image_statistics(prepared.splits), np.random.default_rng(rows)
    batches = (table.iloc[rng.choice(len(table), rows, replace=False)] for _ in range(60))
    assert sum(any(misses(profile, batch)) for batch in batches) <= 2


def single_faults(images, labels):
    images[3], images[4], labels[5] = 255 - images[3], 0, 10


def faults_of_all(images, labels):
    images[:], labels[:] = np.minimum(images, np.roll(images, 1, 2)), labels[::-1].copy()


@pytest.mark.parametrize(
    ("plant", "names"),
    [
        (single_faults, {"border of every image", "max of every image", "label is known"}),
        (faults_of_all, {"average ink", "average elongation of class"}),
    ],
)
def test_planted_faults_are_found_in_a_small_batch(digits, profile, tmp_path, plant, names):
    images, labels = digits.images[:200].copy(), digits.labels[:200].copy()
    plant(images, labels)
    expected = batch_expectations(profile, 200, dict(zip(*np.unique(labels, return_counts=True), strict=True)), 0.01)
    about_them = [item for item in expected if any(name in item.name for name in names)]
    table = image_statistics({BATCH: Split(images, labels, np.arange(200))})
    found = validate(table, profile, tmp_path / "docs", about_them)
    assert all(any(name in failure.name for failure in found.failures) for name in names)
    assert found.expectations == len(about_them)


def test_images_without_splits_are_judged_as_few_and_splits_as_the_profile_says(profile):
    few = {item.name: item for item in split_expectations(profile, {"all": 300}, equally(300))}
    assert few["average ink"].arguments["max_value"] > profile.average["ink"][1] + 0.003
    assert few["rows in all"].arguments["max_value"] == 1797
    assert few["no images that look alike in two splits"].arguments["mostly"] == 1 - profile.alike_leaks
    rows = {"train": 1372, "validation": 125, "test": 300}
    whole = {item.name: item for item in split_expectations(profile, rows, equally(1797))}
    assert whole["average ink"].arguments["max_value"] == profile.average["ink"][1]
    assert {"share of class 3", "plausible labels in all"} <= set(few)
    assert "the classes of train occur" in whole
    unlabelled = {item.name for item in split_expectations(profile, {"all": 300}, None)}
    assert unlabelled
    assert not [name for name in unlabelled if "class" in name or "label" in name.replace("label is never null", "")]


def test_rows_of_batches_and_rows_held_back_shift_what_is_expected_of_a_split(prepared, profile):
    manifest = {"held_back": 30, "batches": [{"train": 5, "validation": 1}, {"train": 7, "validation": 0}]}
    more = rows_added(manifest)
    assert more == {"train": -18, "validation": 1}
    assert rows_added({}) == {"train": 0, "validation": 0}
    shifted = with_rows(profile, more)
    assert shifted.rows["train"] == [1354, 1354]
    assert shifted.rows["validation"] == [126, 126]
    assert shifted.rows["test"] == profile.rows["test"]
    assert with_rows(profile, rows_added({})) == profile


def test_a_profile_knows_how_far_single_images_lie_from_their_mean(prepared, profile):
    table = image_statistics(prepared.splits)
    assert make_profile(table, "digits").deviation == profile.deviation
    assert profile.deviation["mean"] == pytest.approx(table["mean"].std(), abs=0.01)
