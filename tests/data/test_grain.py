"""Specks and dead pixels."""

import numpy as np
import pytest

from vaeline.data.grain import count_specks, find_dead_pixels


def smooth(count, channels=1):
    """Images whose levels rise from the left to the right, each with another slope."""
    slopes = np.random.default_rng(0).uniform(5, 8, (count, 1, 1, channels))
    return np.broadcast_to(slopes * np.arange(20)[None, None, :, None], (count, 16, 20, channels)).astype("uint8")


def test_a_pixel_among_equal_ones_or_far_from_all_others_is_a_speck():
    images = smooth(6)
    assert count_specks(images).tolist() == [0] * 6
    images[0, 5, 5] += 80
    images[1, 5:7, 5] += 80  # two that touch each other are none
    images[2, 8, 15], images[2, 8, 8] = 0, 255
    images[3] = 200
    images[3, 4, 4] ^= 1
    images[4, 0, 3] = 255  # on the margin
    assert count_specks(images).tolist() == [1, 0, 2, 1, 0, 0]
    assert count_specks(images.repeat(3, axis=3)).tolist() == [3, 0, 6, 3, 0, 0]
    assert count_specks(images.astype("float64")).tolist() == [1, 0, 2, 1, 0, 0]


@pytest.mark.parametrize(("level", "specks"), [(101 + 64, 0), (101 + 65, 1), (100 - 64, 0), (100 - 65, 1)])
def test_a_speck_is_more_than_64_levels_from_its_neighbours(level, specks):
    image = np.full((1, 8, 8, 1), 100, "uint8")
    image[:, ::2] = 101
    image[0, 4, 4] = level
    assert count_specks(image).tolist() == [specks]


@pytest.mark.parametrize("level", [0, 255])
def test_a_dead_pixel_a_dead_row_and_a_dead_channel_are_found(digits, level):
    images = digits.images[:400].copy()
    assert not find_dead_pixels(images).any()
    images[:, 14, 14] = level
    images[:, 9] = level
    found = find_dead_pixels(images)[..., 0]
    assert found[14, 14]
    assert found[9, 12:16].all()
    assert set(np.argwhere(found)[:, 0]) == {9, 14}
    colour = digits.images[:400].repeat(3, axis=3)
    colour[:, 14, 14, 2] = level
    assert np.argwhere(find_dead_pixels(colour)).tolist() == [[14, 14, 2]]


def test_of_few_or_equal_images_no_pixel_is_dead(digits):
    images = digits.images[:400].copy()
    images[:, 14, 14] = 0
    assert not find_dead_pixels(images[:299]).any()
    assert not find_dead_pixels(images[:1].repeat(400, axis=0)).any()


@pytest.mark.parametrize(("beside", "own", "is_dead"), [(100, 9, 1), (100, 11, 0), (51, 0, 1), (49, 0, 0)])
def test_a_dead_pixel_has_a_tenth_of_the_deviation_of_neighbours_that_have_half_of_the_highest(beside, own, is_dead):
    deviation = np.zeros((8, 8, 1), int)
    deviation[0, 0] = 100  # the highest; its neighbours are no faults, because each has only one that changes
    deviation[4, 3], deviation[4, 5] = beside, beside
    deviation[4, 4] = own
    sign = np.array([1, -1] * 150).reshape(-1, 1, 1, 1)
    found = find_dead_pixels((128 + sign * deviation).astype("uint8"))
    assert np.argwhere(found).tolist() == [[4, 4, 0]] * is_dead
