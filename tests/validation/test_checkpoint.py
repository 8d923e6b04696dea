"""The validation must find every fault that is planted here, on real digits and the thresholds of the repository."""

import errno
import json
from dataclasses import replace

import great_expectations as gx
import numpy as np
import pandas as pd
import pytest
from conftest import MIRROR, ROOT, needs_mnist

from vaeline.data.image_sets import read_image_set
from vaeline.data.prepared import Split, read_prepared
from vaeline.data.sources import MNIST_IMAGE
from vaeline.data.statistics import image_statistics
from vaeline.validation import checkpoint
from vaeline.validation.checkpoint import validate, validate_parts
from vaeline.validation.contact_sheet import offenders, write_result
from vaeline.validation.expectations import build_expectations, columns_of
from vaeline.validation.profile import class_shares, read_profile

RNG = np.random.default_rng(0)
INVERTED = [3, 77, 500]
ROWS = {"test": 300, "train": 1372, "validation": 125}


def copy(splits):
    return {
        name: Split(np.array(split.images[:]), np.array(split.labels), split.indices) for name, split in splits.items()
    }


def dead_pixel(splits):
    for split in splits.values():
        split.images[:, 14, 14] = 0


def flip_bits(splits):
    pixels = splits["train"].images.reshape(-1)
    flipped = RNG.integers(0, pixels.size, round(1e-4 * 8 * pixels.size))
    pixels[flipped] ^= (1 << RNG.integers(0, 8, len(flipped))).astype("uint8")


def near_copies(splits):
    """Five test images in train, each with one pixel of another level."""
    splits["train"].images[:5] = splits["test"].images[:5]
    splits["train"].images[:5, 12, 12] ^= 1


def exchange_labels(splits):
    """A fifth of the twos are sevens, and a fifth of the sevens are twos."""
    labels = splits["train"].labels
    twos, sevens = (RNG.permutation(np.flatnonzero(labels == label)) for label in (2, 7))
    labels[twos[: len(twos) // 5]], labels[sevens[: len(sevens) // 5]] = 7, 2


def wrong_labels(splits):
    labels = splits["train"].labels
    rows = RNG.choice(len(labels), len(labels) // 20, replace=False)
    labels[rows] = (labels[rows] + RNG.integers(1, 10, len(rows))) % 10


def some(images, share=0.01):
    return RNG.choice(len(images), max(1, round(share * len(images))), replace=False)


def all_images(change):
    def plant(splits):
        for name, split in splits.items():
            splits[name] = Split(change(split.images), split.labels, split.indices)

    return plant


def keep(rows):
    def plant(splits):
        train = splits["train"]
        chosen = rows(train)
        splits["train"] = Split(train.images[chosen], train.labels[chosen], train.indices[chosen])

    return plant


def shuffle_labels(splits):
    RNG.shuffle(splits["train"].labels)


def repeat_rows(splits, rows):
    splits["train"].images[rows] = splits["train"].images[rows + len(rows)]


def leak(splits, rows):
    splits["train"].images[rows] = splits["test"].images[: len(rows)]


def wrong_label(splits, rows):
    splits["train"].labels[rows[:1]] = 10


def change_images(change):
    def plant(splits, rows):
        splits["train"].images[rows] = change(splits["train"].images[rows])

    return plant


FAULTS_OF_IMAGES = {
    "bits flipped": (change_images(np.invert), "border of every image"),
    "blank": (change_images(np.zeros_like), "max of every image"),
    "saturated": (change_images(lambda images: np.full_like(images, 255)), "mean of every image"),
    "noise": (change_images(lambda images: RNG.integers(0, 256, images.shape, "uint8")), "roughness of every image"),
    "faded": (change_images(lambda images: images // 3), "max of every image"),
    "moved": (change_images(lambda images: np.roll(images, 6, axis=2)), "center_x of every image"),
    "duplicates": (repeat_rows, "no exact duplicates"),
    "test rows in train": (leak, "no leakage between splits"),
    "an unknown label": (wrong_label, "label is known"),
}
FAULTS_OF_ALL = {
    "transposed": (all_images(lambda images: images.transpose(0, 2, 1, 3)), {"average elongation"}),
    "0 to 1 instead of 0 to 255": (all_images(lambda images: images / np.float32(255)), {"max of every image"}),
    "floats of another size, in colour": (
        all_images(lambda images: images[:, 2:].repeat(3, axis=3).astype("float32")),
        {"dtype", "height", "channels"},
    ),
    "rows lost": (keep(lambda train: np.arange(len(train.labels) - 1)), {"rows in train"}),
    "a class lost": (keep(lambda train: np.flatnonzero(train.labels != 4)), {"rows in train"}),
    "a class halved": (
        keep(lambda train: np.flatnonzero((train.labels != 4) | (np.arange(len(train.labels)) % 2))),
        {"class balance"},
    ),
    "labels shuffled": (shuffle_labels, {"average elongation of class 1"}),
    "a class in the test split alone": (keep(lambda train: train.labels != 4), {"the classes of train occur"}),
    "a dead pixel": (dead_pixel, {"no dead pixels", "average specks"}),
    "bits flipped here and there": (flip_bits, {"average specks", "specks of every image"}),
    "near copies of test images in train": (near_copies, {"no images that look alike in two splits"}),
    "5 % of labels wrong": (wrong_labels, {"plausible labels in train"}),
    "20 % of two classes exchanged": (exchange_labels, {"plausible labels in train"}),
}


@pytest.fixture(scope="module")
def profile():
    return read_profile(ROOT / "data/profiles/digits.yaml")


@pytest.fixture(scope="module")
def table(prepared_directory):
    """The statistics of the digits."""
    return image_statistics(read_prepared(prepared_directory).splits)


@pytest.fixture(scope="module")
def inverted(prepared_directory, profile, tmp_path_factory):
    """Digits of which three are inverted, the table of their statistics, and its verdict."""
    splits = copy(read_prepared(prepared_directory).splits)
    splits["train"].images[INVERTED] = 255 - splits["train"].images[INVERTED]
    table = image_statistics(splits)
    return splits, table, validate(table, profile, tmp_path_factory.mktemp("inverted") / "docs")


@pytest.fixture
def verdict_on(profile, tmp_path):
    """The verdict of the named expectations alone: Great Expectations takes a second for all of them."""

    def check(table, *names):
        expected = [item for item in build_expectations(profile, ROWS) if item.name in names]
        assert len(expected) == len(names)
        return validate(table, profile, tmp_path / "docs", expected)

    return check


@pytest.fixture(scope="module")
def faulty_images(prepared_directory, profile, tmp_path_factory):
    """By fault, the rows that have it, ten of train each; and the images that each failure names."""
    splits, rows = copy(read_prepared(prepared_directory).splits), {}
    for place, (fault, (plant, _)) in enumerate(FAULTS_OF_IMAGES.items()):
        rows[fault] = np.arange(10) + 30 * place
        plant(splits, rows[fault])
    verdict = validate(image_statistics(splits), profile, tmp_path_factory.mktemp("faulty") / "docs")
    return rows, {failure.name: set(failure.image_ids) for failure in verdict.failures}


def test_clean_data_passes_and_the_same_verdict_is_written_twice(prepared, table, profile, tmp_path):
    for name in ("a", "b"):
        verdict = validate(table, profile, tmp_path / "docs")
        assert verdict.failures == []
        write_result(verdict, prepared.splits, tmp_path / f"{name}.json", tmp_path / "sheet.png")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text())["status"] == "passed"
    assert not (tmp_path / "sheet.png").exists()
    assert "expectations" in (tmp_path / "docs" / "index.html").read_text().lower()


def test_a_page_that_cannot_be_written_fails_the_validation(table, profile, tmp_path, monkeypatch):
    from great_expectations.data_context.store.tuple_store_backend import TupleFilesystemStoreBackend

    as_usual = TupleFilesystemStoreBackend._set

    def write(store, key, value, **options):
        if "images-statistics" in key:  # the page of the results
            raise OSError(errno.ENOSPC, "No space left on device")
        return as_usual(store, key, value, **options)

    monkeypatch.setattr(TupleFilesystemStoreBackend, "_set", write)
    with pytest.raises(OSError, match="No space left"):
        validate(table, profile, tmp_path / "docs")


def test_a_table_in_parts_gives_the_verdict_of_the_whole_and_leaves_no_file(inverted, profile, tmp_path):
    _, table, whole = inverted
    folder = tmp_path / "a name with spaces"
    parts = (table[start : start + 700] for start in range(0, len(table), 700))
    assert validate_parts(parts, profile, folder / "docs") == whole
    assert not whole.passed
    assert [path.name for path in folder.iterdir()] == ["docs"]


@pytest.mark.parametrize("fault", FAULTS_OF_IMAGES)
def test_every_image_with_a_planted_fault_is_named(faulty_images, fault):
    rows, named = faulty_images
    planted = {f"train/{row}" for row in rows[fault][: 1 if fault == "an unknown label" else None]}
    assert planted <= named[FAULTS_OF_IMAGES[fault][1]]


@pytest.mark.parametrize("fault", FAULTS_OF_ALL)
def test_a_fault_of_the_whole_is_found_and_named(prepared, verdict_on, fault):
    plant, expectations = FAULTS_OF_ALL[fault]
    splits = copy(prepared.splits)
    plant(splits)
    verdict = verdict_on(image_statistics(splits), *expectations)
    assert not verdict.passed
    assert expectations == {failure.name for failure in verdict.failures}


def test_a_failure_names_the_images_and_shows_them(inverted, tmp_path):
    splits, _, verdict = inverted
    wrong = [f"train/{row}" for row in INVERTED]
    border = next(failure for failure in verdict.failures if failure.name == "border of every image")
    assert border.image_ids == wrong
    assert "3 of 1797 images" in border.line()
    assert set(wrong) <= set(offenders(verdict))
    of_images = replace(verdict, failures=[failure for failure in verdict.failures if failure.by_itself])
    write_result(of_images, splits, tmp_path / "result.json", tmp_path / "sheet.png")
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["status"] == "failed"
    assert any(failure["image_ids"] == wrong for failure in written["failures"])
    assert (tmp_path / "sheet.png").stat().st_size > 5000


def test_a_failed_average_shows_the_images_that_pull_it_most(table, verdict_on):
    brighter = table.assign(mean=table["mean"] + 5.0 * (table["label"] == 3))
    (failure,) = verdict_on(brighter, "average mean of class 3", "average mean of class 4").failures
    assert failure.name == "average mean of class 3"
    culprits = failure.image_ids
    assert 0 < len(culprits) <= 100
    assert set(table.set_index("image_id").loc[culprits, "label"]) == {3}


def test_an_average_over_no_image_says_so(table, verdict_on):
    verdict = verdict_on(table.assign(label=np.nan), "label is never null", "average mean of class 3")
    observed = {failure.name: failure.observed for failure in verdict.failures}
    assert observed["label is never null"].startswith(f"{len(table)} of {len(table)} images")
    assert observed["average mean of class 3"].startswith("no image to measure, expected ")


def test_the_sheet_holds_a_hundred_and_some_of_every_failure(prepared, verdict_on):
    splits = copy(prepared.splits)
    splits["train"].images[:400] = 255 - splits["train"].images[:400]
    splits["train"].images[500] = 0
    verdict = verdict_on(image_statistics(splits), "border of every image", "max of every image", "average border")
    reasons = offenders(verdict)
    assert len(reasons) == 100
    assert "train/500" in reasons


def test_images_that_are_wrong_by_themselves_stand_before_those_that_pull_an_average(inverted):
    verdict = inverted[2]
    assert {failure.name for failure in verdict.failures} >= {"average border", "border of every image"}
    first, rest = list(offenders(verdict).items())[:3], list(offenders(verdict).items())[3:]
    assert sorted(name for name, _ in first) == sorted(f"train/{row}" for row in INVERTED)
    assert all(reason.endswith("of every image") for _, reason in first)
    assert rest
    assert all(reason.startswith("average") for _, reason in rest)


def test_doubtful_labels_are_named_with_likelier_ones_the_worst_first(prepared, profile, verdict_on, tmp_path):
    splits = copy(prepared.splits)
    exchange_labels(splits)
    table = image_statistics(splits)
    table.loc[table["split"].eq("train") & (table.index % 7 == 0), ["doubt", "likely_label"]] = np.nan
    verdict = verdict_on(table, "plausible labels in train", "plausible labels in test")
    (failure,) = verdict.failures
    assert (np.diff(table.set_index("image_id").loc[failure.image_ids, "doubt"]) <= 0).all()
    named = {
        int(image_id.removeprefix("train/")): note
        for image_id, note in zip(failure.image_ids, failure.notes, strict=True)
    }
    right = prepared.splits["train"].labels
    exchanged = np.flatnonzero(right != splits["train"].labels)
    assert len(exchanged) > 50
    assert np.isin(exchanged, list(named)).mean() > 0.6
    assert np.isin(list(named)[:20], exchanged).mean() >= 0.9
    assert np.mean([named[row] == f"likely label {right[row]}" for row in list(named)[:20]]) >= 0.9
    judged = int(table.loc[table["split"] == "train", "doubt"].notna().sum())
    assert f"{failure.images_counted} of {judged} images" in failure.observed
    assert f"{failure.image_ids[0]} ({failure.notes[0]})" in failure.line()
    assert set(offenders(verdict).values()) <= {
        f"plausible labels in train\nlikely label {label}" for label in range(10)
    }


def test_the_place_of_a_dead_pixel_is_named(prepared, verdict_on):
    splits = copy(prepared.splits)
    splits["test"].images[:, 14, 14] = 0
    (failure,) = verdict_on(image_statistics(splits), "no dead pixels").failures
    assert failure.images_counted == 300
    assert failure.line().startswith(
        "FAILED no dead pixels: 300 of 1797 images, such as dead = 1, 1, 1; images test/0 (dead at row 14 column 14)"
    )


def test_nulls_in_the_table_and_missing_columns_are_failures(table, verdict_on):
    with_null = table.assign(std=table["std"].where(table.index != 3))
    (failure,) = verdict_on(with_null, "std is never null", "mean is never null").failures
    assert (failure.name, failure.image_ids) == ("std is never null", ["test/3"])
    (failure,) = verdict_on(table.drop(columns="roughness"), "average roughness", "average ink").failures
    assert (failure.name, "could not be evaluated" in failure.observed) == ("average roughness", True)


def test_an_expectation_that_is_misspelt_or_dropped_is_no_pass(table, profile, tmp_path, monkeypatch):
    expected = build_expectations(profile, {"train": 1372})[:5]
    monkeypatch.setattr(
        checkpoint, "build_expectations", lambda *_: [*expected, checkpoint.Expected("odd", "ExpectMagic", {})]
    )
    with pytest.raises(AttributeError, match="ExpectMagic"):
        validate(table, profile, tmp_path / "docs")
    monkeypatch.setattr(checkpoint, "build_expectations", lambda *_: expected)
    whole_suite = gx.ExpectationSuite
    monkeypatch.setattr(
        gx, "ExpectationSuite", lambda name, expectations: whole_suite(name, expectations=expectations[:-1])
    )
    with pytest.raises(RuntimeError, match=r"only \d+ of \d+ expectations were evaluated"):
        validate(table, profile, tmp_path / "docs")


def test_there_are_enough_expectations_and_every_column_is_checked(profile):
    expected = build_expectations(profile, ROWS)
    assert len(expected) >= 18
    assert len({item.name for item in expected}) == len(expected)
    checked = {column for item in expected for column in (item.arguments.get("column"), item.note)}
    assert checked >= set(columns_of(profile.family))


def test_class_shares_are_within_the_split():
    table = pd.DataFrame({"split": ["a", "a", "a", "b"], "label": [0, 0, 1, 1]})
    assert class_shares(table).tolist() == pytest.approx([2 / 3, 2 / 3, 1 / 3, 1.0])


@needs_mnist
def test_the_mnist_profile_finds_one_per_cent_of_transposed_images(tmp_path):
    found = read_image_set(MIRROR, MNIST_IMAGE)
    profile = read_profile(ROOT / "data/profiles/mnist.yaml")
    images = found.test_images
    table = image_statistics({"test": Split(images, found.test_labels, np.arange(len(images)))})
    assert [f.name for f in validate(table, profile, tmp_path / "docs").failures] == []
    rows = some(images)
    transposed = Split(np.asarray(images[rows]).transpose(0, 2, 1, 3), found.test_labels[rows], rows)
    faulty = pd.concat([table.drop(index=rows), image_statistics({"test": transposed})])
    expected = [
        item for item in build_expectations(profile, {"test": 10_000}) if item.name == "elongation of every image"
    ]
    assert not validate(faulty, profile, tmp_path / "docs", expected).passed
