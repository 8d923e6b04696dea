import numpy as np
import pytest
from image_parts import in_parts

from vaeline.images import lazy
from vaeline.images.arrays import to_unit
from vaeline.images.lazy import LazyImages, read_parts, rows_at_once, variance
from vaeline.images.spec import ImageSpec

STORED = np.random.default_rng(0).integers(0, 256, (40, 5, 4, 3), dtype="uint8")


def test_parts_are_those_of_the_whole():
    lazy, whole = LazyImages.of_bytes(STORED), to_unit(STORED)
    assert (len(lazy), lazy.shape, lazy.dtype) == (40, STORED.shape, np.float32)
    for rows in (slice(None), slice(3, 9), slice(38, 50), np.array([7, 2, 2])):
        np.testing.assert_array_equal(lazy[rows], whole[rows])
    chosen = np.array([9, 1, 30])
    np.testing.assert_array_equal(lazy.take(chosen)[1:], whole[chosen][1:])


def test_a_change_is_told_which_rows_it_changes():
    def change(images, rows):
        return images * rows[:, None, None, None].astype("float32")

    marked = LazyImages.of_bytes(STORED).changed(change).take(np.array([5, 8]))
    np.testing.assert_array_equal(marked[:1], 5 * to_unit(STORED[5:6]))
    np.testing.assert_array_equal(marked[1:], 8 * to_unit(STORED[8:9]))


def test_nothing_is_read_before_it_is_asked_for():
    def refuse(rows):
        pytest.fail("read")

    lazy = LazyImages((10**9, 2, 2, 1), refuse)
    assert len(lazy.take(np.arange(4)).changed(refuse)) == 4
    for compute in (np.asarray, np.mean, lambda images: np.zeros((1, 2, 2, 1)) - images):
        with pytest.raises(TypeError):
            compute(lazy)


def test_stored_images_stand_one_array_behind_the_other():
    joined = LazyImages.stored([STORED[:10], LazyImages.stored([STORED[10:25]]), STORED[25:]])
    assert (joined.shape, joined.dtype) == (STORED.shape, np.uint8)
    chosen = np.array([39, 9, 10, 25, 24, 9])
    np.testing.assert_array_equal(joined.take(chosen)[:], STORED[chosen])
    assert joined.take(chosen).dtype == np.uint8


def test_rows_of_several_arrays_are_those_of_one():
    parts = np.split(STORED, [10, 11, 25])
    joined = LazyImages.stored(parts)
    rng = np.random.default_rng(1)
    mask = rng.random(40) < 0.3
    slices = [slice(None), slice(10, 11), slice(3, 30, 4), slice(30, 3, -1), slice(35, 99), slice(5, 5)]
    for rows in (*slices, rng.permutation(40), np.arange(9, 26), np.array([], int), mask, np.array([39])):
        np.testing.assert_array_equal(joined[rows], STORED[rows])
    np.testing.assert_array_equal(joined[25], STORED[25])
    np.testing.assert_array_equal(np.stack(list(joined)), STORED)
    assert np.shares_memory(joined[12:20], parts[2]), "a slice of one array is not copied"
    for rows in (40, -1, np.array([3, 40]), np.array([-1, 2])):
        with pytest.raises(IndexError, match="of 40 images"):
            joined[rows]


def test_rows_are_read_in_parts_in_their_order(monkeypatch):
    monkeypatch.setattr(lazy, "NUMBERS_AT_ONCE", 7 * STORED[0].size)
    rows = np.arange(39, -1, -2)
    parts = list(read_parts(in_parts(STORED, 7), rows))
    assert [len(part) for part in parts] == [7, 7, 6]
    np.testing.assert_array_equal(np.concatenate(parts), STORED[rows])


def test_the_variance_is_that_of_all_numbers():
    lazy = LazyImages.of_bytes(np.tile(STORED, (20, 1, 1, 1)))
    assert variance(lazy) == pytest.approx(to_unit(STORED).astype("float64").var(), rel=1e-12)


def test_large_images_are_computed_in_smaller_batches():
    assert rows_at_once(500, ImageSpec(height=28, width=28, channels=1)) == 500
    assert rows_at_once(500, ImageSpec(height=128, width=128, channels=3)) == 81
    assert rows_at_once(500, ImageSpec(height=4000, width=4000, channels=3)) == 1
