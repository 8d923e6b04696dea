import numpy as np
import pytest

from vaeline.data.prepared import Split
from vaeline.data.statistics import image_statistics


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
