import numpy as np

from vaeline.data.accepted import Rows
from vaeline.ingestion.duplicates import known_images, new_rows


def test_known_rows_and_repeated_ones_are_dropped_and_counted(digits, rules):
    accepted = Rows(digits.images[1300:1310], digits.labels[1300:1310], np.arange(10))
    known = known_images(rules.prepared, [("20260101-a", accepted)])
    batch = np.concatenate([digits.images[start:stop] for start, stop in ((890, 905), (1195, 1202), (1298, 1303))])
    batch = np.concatenate([batch, batch[-5:-3]])
    numbers, dropped = new_rows(batch, known)
    assert dropped == {"20260101-a": 3, "batch": 2, "test": 5, "train": 10, "validation": 5}
    np.testing.assert_array_equal(batch[numbers], digits.images[[1200, 1201, 1298, 1299]])


def test_an_accepted_row_of_the_test_set_is_said_to_be_of_the_test_set(digits, rules):
    both = Rows(digits.images[[5, 1000]], digits.labels[[5, 1000]], np.arange(2))
    _, dropped = new_rows(both.images, known_images(rules.prepared, [("20260101-a", both)]))
    assert dropped == {"20260101-a": 1, "test": 1}


def test_one_changed_pixel_is_another_image(digits, rules):
    image = digits.images[1000:1001].copy()
    image[0, 0, 0, 0] ^= 1
    assert new_rows(image, known_images(rules.prepared, []))[1] == {}
