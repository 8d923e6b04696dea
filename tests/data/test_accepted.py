"""How batches join the splits: nothing that is known comes in, and what a row becomes hangs on its pixels alone."""

import json

import numpy as np
import pytest
from image_parts import in_parts

from vaeline.artifacts import digest
from vaeline.data import accepted
from vaeline.data.accepted import (
    Rows,
    fetch_rows,
    merge,
    read_records,
    read_rows,
    rows_digest,
    rows_file,
    unpack_rows,
    validates,
    write_rows,
)
from vaeline.data.near_duplicates import USUAL_DISTANCE
from vaeline.data.prepared import read_prepared, write_prepared
from vaeline.errors import VaelineError
from vaeline.images import lazy
from vaeline.images.digests import image_digests


@pytest.fixture
def source(digits):
    """Splits of the first 900 digits; the others are new."""
    rows = np.arange(900)
    taken = {"train": rows[:600], "validation": rows[600:700], "test": rows[700:]}
    return {name: (digits.images, digits.labels, numbers) for name, numbers in taken.items()}


def new(digits, start, stop):
    return Rows(digits.images[start:stop], digits.labels[start:stop], np.arange(stop - start))


def images_of(split):
    images, _, rows = split
    return set(image_digests(images[rows]))


def test_new_rows_join_train_and_validation_with_their_labels(source, digits):
    merged, about = merge(source, [("20260101-a", new(digits, 900, 1300)), ("20260102-b", new(digits, 1300, 1500))], 12)
    wanted = set(image_digests(digits.images[:700])) | set(image_digests(digits.images[900:1500]))
    assert images_of(merged["train"]) | images_of(merged["validation"]) == wanted
    for images, labels, rows in merged.values():
        by_content = dict(zip(image_digests(digits.images), digits.labels, strict=True))
        assert [by_content[content] for content in image_digests(images[rows])] == labels[rows].tolist()
    assert [entry["id"] for entry in about] == ["20260101-a", "20260102-b"]
    assert [entry["train"] + entry["validation"] for entry in about] == [400, 200]
    assert about[1]["first"] == about[0]["first"] + 400
    assert 0.04 < sum(entry["validation"] for entry in about) / 600 < 0.14


def test_a_batch_comes_in_behind_the_rows_of_the_source(source, digits):
    merged, about = merge(source, [("20260101-a", new(digits, 900, 1000))], 12)
    images, _, rows = merged["train"]
    np.testing.assert_array_equal(rows[:600], source["train"][2])
    joined = rows[600:]
    assert joined.min() >= about[0]["first"] == len(digits.labels)
    np.testing.assert_array_equal(images[joined], digits.images[900 + joined - about[0]["first"]])


def test_images_of_a_source_and_of_batches_are_joined_and_written_in_parts(source, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(lazy, "NUMBERS_AT_ONCE", 100 * 28 * 28)
    guarded = in_parts(digits.images, 100)
    splits = {name: (guarded, labels, rows) for name, (_, labels, rows) in source.items()}
    merged, about = merge(splits, [("20260101-a", new(digits, 900, 1000))], 12)
    write_prepared(tmp_path / "prepared", merged, {"classes": [str(digit) for digit in range(10)]})
    train = read_prepared(tmp_path / "prepared").splits["train"]
    assert len(train.images) == 600 + about[0]["train"]
    np.testing.assert_array_equal(train.images[:], images_by_number(digits, about[0]["first"])[train.indices])


def images_by_number(digits, first):
    """The images of the source, and behind them those of a batch."""
    return np.concatenate([digits.images[:first], digits.images[900:1000]])


def test_no_row_of_the_splits_slips_in_above_all_none_of_the_test_set(source, digits):
    sneaky = Rows(digits.images[550:950], digits.labels[550:950], np.arange(400))
    merged, about = merge(source, [("20260101-a", sneaky)], 12)
    assert about[0]["train"] + about[0]["validation"] == 50
    assert merged["test"] is source["test"]
    assert not images_of(merged["test"]) & (images_of(merged["train"]) | images_of(merged["validation"]))
    assert not images_of(merged["train"]) & images_of(merged["validation"])


def test_defects_of_a_batch_are_not_trained_on(source, digits):
    batch = new(digits, 900, 1300)
    merged, about = merge(source, [("20260101-a", batch)], 12, good=3)
    joined = about[0]["train"] + about[0]["validation"]
    assert joined == (batch.labels == 3).sum() > 0
    _, labels, rows = merged["train"]
    assert set(labels[rows[rows >= about[0]["first"]]].tolist()) == {3}


def test_images_that_look_alike_stay_in_one_split_and_those_of_test_stay_out():
    images = np.random.default_rng(0).integers(0, 256, (120, 40, 40, 1), dtype="uint8")
    darker, labels = images // 2 + 1, np.zeros(120, "uint8")
    rows = {"train": np.arange(40), "validation": np.arange(40, 60), "test": np.arange(60, 80)}
    source = {name: (images, labels, numbers) for name, numbers in rows.items()}
    batch = Rows(np.concatenate([darker, images[80:]]), np.zeros(160, "uint8"), np.arange(160))
    merged, about = merge(source, [("20260101-a", batch)], 3, distance=USUAL_DISTANCE)
    joined = {name: set((taken[taken >= 120] - about[0]["first"]).tolist()) for name, (_, _, taken) in merged.items()}
    assert joined["test"] == set()
    assert {row for row in joined["train"] if row < 80} == set(range(40))
    assert {row for row in joined["validation"] if row < 80} == set(range(40, 60))
    for name in ("train", "validation"):
        new = {row for row in joined[name] if 80 <= row < 120}
        assert new
        assert {row + 40 for row in new} == {row for row in joined[name] if row >= 120}


def test_a_row_stays_in_its_split_when_other_batches_come(source, digits):
    batch = ("20260201-b", new(digits, 1000, 1400))
    earlier, later = ("20260101-a", new(digits, 950, 1100)), ("20260301-c", new(digits, 1300, 1700))
    alone, _ = merge(source, [batch], 12)
    among, _ = merge(source, [earlier, batch, later], 12)
    for name in ("train", "validation"):
        assert images_of(alone[name]) <= images_of(among[name])


def test_the_share_that_validates_is_one_in_so_many():
    rng = np.random.default_rng(0)
    found = [validates(rng.bytes(32), 12) for _ in range(6000)]
    assert 0.07 < np.mean(found) < 0.097


def test_the_digest_is_that_of_the_rows_in_any_order(digits):
    images, labels = digits.images[:20], digits.labels[:20]
    order = np.random.default_rng(0).permutation(20)
    same = rows_digest(images, labels)
    assert rows_digest(images[order], labels[order]) == same
    assert rows_digest(images, labels[order]) != same
    assert rows_digest(images, None) != same
    assert rows_digest(images[:19], labels[:19]) != same


@pytest.fixture
def shelf(digits, tmp_path, monkeypatch):
    """A batch of ten digits, accepted for the data set `digits`."""
    monkeypatch.chdir(tmp_path)
    rows = new(digits, 0, 10)
    accepted.BATCHES.mkdir(parents=True)
    accepted.ACCEPTED.mkdir()
    write_rows(rows_file("20260101-a"), rows)
    record = {"id": "20260101-a", "dataset": "digits", "labelled": True}
    record["kept_sha256"] = rows_digest(rows.images, rows.labels)
    (accepted.ACCEPTED / "20260101-a.json").write_text(json.dumps(record))
    return rows


def test_rows_are_written_with_the_same_bytes_and_read_back(shelf, tmp_path):
    write_rows(tmp_path / "again.npz", shelf)
    assert digest(tmp_path / "again.npz") == digest(rows_file("20260101-a"))
    (record,) = read_records("digits")
    found = read_rows(record)
    np.testing.assert_array_equal(found.images, shelf.images)
    np.testing.assert_array_equal(found.labels, shelf.labels)
    assert read_records("mnist") == []


def test_the_images_of_a_batch_can_stay_in_a_file(shelf, tmp_path):
    (record,) = read_records("digits")
    found = unpack_rows(record, tmp_path)
    assert isinstance(found.images, np.memmap)
    np.testing.assert_array_equal(found.images, shelf.images)
    np.testing.assert_array_equal(found.labels, shelf.labels)


def test_rows_other_than_the_record_names_are_refused(shelf):
    (record,) = read_records("digits")
    labels = shelf.labels.copy()
    labels[3] = (labels[3] + 1) % 10
    write_rows(rows_file("20260101-a"), Rows(shelf.images, labels, shelf.numbers))
    with pytest.raises(VaelineError, match="holds other rows than its record names"):
        read_rows(record)
    rows_file("20260101-a").write_bytes(b"PK no")
    with pytest.raises(VaelineError, match="broken"):
        read_rows(record)
    rows_file("20260101-a").unlink()
    with pytest.raises(VaelineError, match="is missing; fetch it with `dvc pull"):
        read_rows(record)


def test_a_record_that_is_not_its_files_is_refused(shelf):
    (accepted.ACCEPTED / "20260101-a.json").rename(accepted.ACCEPTED / "20260101-b.json")
    with pytest.raises(VaelineError, match="its id is '20260101-a'"):
        read_records("digits")
    (accepted.ACCEPTED / "20260101-b.json").write_text("<<<<<<< HEAD")
    with pytest.raises(VaelineError, match="no record of a batch"):
        read_records("digits")


def test_rows_that_are_here_are_not_asked_of_dvc(shelf, monkeypatch):
    monkeypatch.setattr(accepted, "run_redacted", lambda command: pytest.fail("DVC was asked"))
    fetch_rows(read_records("digits"))
