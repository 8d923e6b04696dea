import numpy as np
import pytest

from vaeline.data.groups import group_images, search_distance

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype="uint8")


@pytest.mark.parametrize(
    ("setting", "is_own", "distance"),
    [("auto", True, 6), ("auto", False, None), (True, False, 6), (False, True, None), (2, False, 2), (0, True, 0)],
)
def test_duplicates_are_searched_where_the_parameter_says(setting, is_own, distance):
    assert search_distance(setting, is_own) == distance


def test_duplicates_and_named_groups_are_joined():
    images = IMAGES.copy()
    images[5] = images[2]
    groups, about, notes = group_images(images, {"train": np.arange(8)}, list("aabbcdef"), 4)
    assert groups[0] == groups[1]
    assert groups[2] == groups[3] == groups[5]
    assert len(set(groups)) == 5
    assert about == {"duplicates": {"equal": 1, "alike": 0}}
    assert notes == [
        "data.groups makes 6 groups; each stays in one split",
        "images that are equal to another: 1; that only look like another: 0",
    ]


def test_images_of_their_own_have_no_groups():
    assert group_images(IMAGES, {"train": np.arange(8)}, None, 4) == (
        None,
        {"duplicates": {"equal": 0, "alike": 0}},
        [],
    )
    assert group_images(IMAGES, {"train": np.arange(8)}, None, None) == (None, {}, [])


def test_duplicates_across_the_splits_of_a_source_are_counted_and_unused_rows_are_not():
    images = IMAGES.copy()
    images[[4, 5, 7]] = images[1]
    images[6] = images[0]
    rows = {"train": np.array([0, 1, 2]), "validation": np.array([3, 4]), "test": np.array([5, 6])}
    _, about, notes = group_images(images, rows, None, 4)
    assert about["duplicates"] == {"equal": 3, "alike": 0}
    assert about["duplicates_across_splits"] == {"validation": 1, "test": 2}
    assert "1 of validation and 2 of test have a duplicate or an image of their group in an earlier split" in notes[-1]
