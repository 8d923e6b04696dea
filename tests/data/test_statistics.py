import numpy as np
import pandas as pd
import pytest

from vaeline.data import statistics
from vaeline.data.prepared import Split, read_prepared
from vaeline.data.statistics import (
    COLOUR,
    FAMILIES,
    GREY,
    INK,
    JUDGED,
    family_of,
    image_statistics,
    read_statistics,
    statistics_parts,
    write_statistics,
)
from vaeline.images.spec import ImageSpec


def as_split(images) -> Split:
    images = np.asarray(images)[..., None]
    return Split(images, np.zeros(len(images), "uint8"), np.arange(len(images)))


def bar(vertical: bool) -> np.ndarray:
    image = np.zeros((28, 28), "uint8")
    image[4:24, 13:15] = 255
    return image if vertical else image.T


def test_a_known_image_has_known_statistics():
    row = image_statistics({"train": as_split([bar(vertical=True)])}).iloc[0]
    assert row["image_id"] == "train/0"
    assert (row["height"], row["width"], row["channels"], row["dtype"]) == (28, 28, 1, "uint8")
    assert row["mean"] == pytest.approx(255 * 40 / 784)
    assert row["ink"] == pytest.approx(40 / 784)
    assert (row["min"], row["max"], row["border"]) == (0, 255, 0)
    assert (row["center_x"], row["center_y"]) == pytest.approx((0, 0))
    assert row["elongation"] == pytest.approx(np.log((20**2 - 1) / (2**2 - 1)), abs=0.01)


def test_transposing_turns_the_elongation_round():
    table = image_statistics({"train": as_split([bar(vertical=True), bar(vertical=False)])})
    assert table["elongation"][0] == pytest.approx(-table["elongation"][1])


def test_the_border_and_the_roughness_show_inversion_and_noise():
    noise = np.random.default_rng(0).integers(0, 256, (28, 28), dtype="uint8")
    table = image_statistics({"train": as_split([bar(vertical=True), 255 - bar(vertical=True), noise])})
    assert table["border"].tolist()[:2] == [0, 255]
    assert table["roughness"][2] > 5 * table["roughness"][1]


def test_copies_and_leaks_are_counted():
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28), dtype="uint8")
    table = image_statistics({"train": as_split(images[[0, 1, 1]]), "test": as_split(images[[0, 3]])})
    assert table["copies"].tolist() == [1, 2, 2, 1, 1]
    assert table["leaks"].tolist() == [1, 0, 0, 1, 0]


def test_nan_pixels_are_counted_and_do_not_spread():
    image = bar(vertical=True).astype("float32")
    image[0, 0] = np.nan
    row = image_statistics({"train": as_split([image])}).iloc[0]
    assert row["nulls"] == 1
    assert np.isfinite(row["mean"])
    assert row["dtype"] == "float32"


def colours(*images) -> Split:
    images = np.array(images, "uint8")
    return Split(images, np.zeros(len(images), "uint8"), np.arange(len(images)))


@pytest.mark.parametrize(
    ("channels", "ink", "family"),
    [(1, None, INK), (1, False, GREY), (3, None, COLOUR), (3, False, COLOUR), (3, True, INK)],
)
def test_the_kind_of_images_decides_about_their_statistics(channels, ink, family):
    assert family_of(ImageSpec(height=8, width=8, channels=channels, ink=ink)) == family


def test_a_colour_image_has_known_statistics():
    halves = np.zeros((10, 20, 3))
    halves[:, :10] = (200, 100, 50)
    row = image_statistics({"train": colours(halves)}, COLOUR).iloc[0]
    assert list(row.index) == list(COLOUR.columns)
    means = [row[f"mean_{colour}"] for colour in ("red", "green", "blue")]
    assert means == pytest.approx([100, 50, 25])
    assert [row[f"std_{colour}"] for colour in ("red", "green", "blue")] == pytest.approx([100, 50, 25])
    assert row["saturation"] == pytest.approx(0.375)
    assert row["entropy"] == pytest.approx(1)
    assert row["contrast"] == row["max"] == pytest.approx(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    assert row["mean"] == pytest.approx(row["max"] / 2)


def test_a_blurred_picture_is_less_sharp_and_noise_has_all_levels():
    noise = np.random.default_rng(0).integers(0, 256, (1, 32, 32), dtype="uint8")
    blurred = (noise // 2 + np.roll(noise, 1, axis=1) // 2).astype("uint8")
    table = image_statistics({"train": as_split([noise[0], blurred[0]])}, GREY)
    assert table["sharpness"][0] > 1.5 * table["sharpness"][1]
    assert table["entropy"][0] == pytest.approx(7.8, abs=0.15)


def test_sizes_of_pictures_are_known_where_they_were_kept():
    images = np.zeros((3, 8, 8, 3))
    split = colours(*images)
    sizes = np.array([[100, 50], [0, 0], [64, 64]], "int32")
    table = image_statistics({"train": Split(split.images, split.labels, split.indices, sizes)}, COLOUR)
    np.testing.assert_array_equal(table["source_height"], [100, np.nan, 64])
    np.testing.assert_array_equal(table["proportions"], [0.5, np.nan, 1])
    assert image_statistics({"train": split}, COLOUR)["source_width"].isna().all()


def test_images_that_look_alike_are_counted_in_all_splits():
    images = np.random.default_rng(0).integers(0, 200, (4, 16, 16, 3), dtype="uint8")
    splits = {
        "train": colours(images[0], images[1], images[1] + 9),
        "test": colours(images[2], images[0] + 5, images[3]),
    }
    table = image_statistics(splits, COLOUR)
    assert table["copies"].tolist() == [1] * 6
    assert table["leaks"].tolist() == [0] * 6
    assert table["alike"].tolist() == [1, 2, 2, 1, 1, 1]
    assert table["alike_leaks"].tolist() == [1, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("family", FAMILIES)
def test_images_of_another_kind_have_all_columns_too(family):
    noise = np.random.default_rng(0).random((3, 8, 9, 1)).astype("float32")
    splits = {"train": colours(*np.zeros((2, 8, 8, 3))), "test": Split(noise, np.zeros(3, "uint8"), np.arange(3))}
    table = image_statistics(splits, family)
    assert list(table.columns) == list(family.columns)
    assert not table.drop(columns=[*family.of_source, *JUDGED]).isna().any(axis=None)


def test_parts_give_the_same_table(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), dtype="uint8")
    whole = image_statistics({"train": colours(*images)}, COLOUR)
    monkeypatch.setattr(statistics, "NUMBERS_AT_A_TIME", 3 * 8 * 8 * 3)
    assert image_statistics({"train": colours(*images)}, COLOUR).equals(whole)


def test_parts_are_written_as_the_file_that_the_whole_table_makes(monkeypatch, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), dtype="uint8")
    splits = {"train": colours(*images[:5]), "test": colours(*images[5:])}
    whole = image_statistics(splits, COLOUR)
    whole.to_parquet(tmp_path / "whole.parquet", index=False)
    monkeypatch.setattr(statistics, "NUMBERS_AT_A_TIME", 3 * 8 * 8 * 3)
    write_statistics(statistics_parts(splits, COLOUR), tmp_path / "parts.parquet")
    assert (tmp_path / "parts.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    monkeypatch.setattr(statistics, "ROWS_OF_A_GROUP", 4)
    monkeypatch.setattr(statistics, "ROWS_OF_A_READING", 3)
    write_statistics(statistics_parts(splits, COLOUR), tmp_path / "parts.parquet")
    parts = list(read_statistics(tmp_path / "parts.parquet"))
    assert [len(part) for part in parts] == [3, 3, 1]
    assert pd.concat(parts, ignore_index=True).equals(whole)


@pytest.mark.parametrize("family", FAMILIES)
def test_shards_change_no_byte_of_the_statistics(family, prepared, prepared_shards, tmp_path, monkeypatch):
    monkeypatch.setattr(statistics, "NUMBERS_AT_A_TIME", 64 * 28 * 28)
    many = read_prepared(prepared_shards("many", 70 * 28 * 28))
    assert len(many.manifest["shards"]["train_images"]) == 20
    for name, splits in (("one", prepared.splits), ("many", many.splits)):
        write_statistics(statistics_parts(splits, family), tmp_path / f"{name}.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "many.parquet").read_bytes()
