import numpy as np
import pytest

from vaeline.data.splits import hold_out, split_source
from vaeline.errors import VaelineError

LABELS = np.repeat(np.arange(10), 600)


def split(hold_back, has_test=True):
    return split_source(LABELS, has_test, test_one_in=6, validation_one_in=12, seed=1, hold_back=hold_back)


@pytest.mark.parametrize("has_test", [True, False])
def test_what_is_held_back_is_missing_in_train_alone(has_test):
    whole, less = split(0, has_test), split(500, has_test)
    assert len(whole["held_back"]) == 0
    assert len(less["held_back"]) == 500
    assert np.bincount(LABELS[less["held_back"]]).tolist() == [50] * 10
    assert sorted([*less["train"], *less["held_back"]]) == whole["train"].tolist()
    for name in set(whole) - {"train", "held_back"}:
        np.testing.assert_array_equal(less[name], whole[name])


def test_nothing_held_back_gives_the_splits_of_before():
    rest, test = hold_out(LABELS, 6, 1, "test")
    train, validation = hold_out(LABELS[rest], 12, 1, "validation")
    found = split(0, has_test=False)
    np.testing.assert_array_equal(found["test"], test)
    np.testing.assert_array_equal(found["train"], rest[train])
    np.testing.assert_array_equal(found["validation"], rest[validation])


def test_more_than_there_are_cannot_be_held_back():
    with pytest.raises(VaelineError, match="no held-back split of 6000 from 5500"):
        split(6000)


def test_a_sources_own_validation_split_is_kept_where_test_is_held_out():
    own = np.arange(4800, 6000)
    found = split_source(LABELS, False, test_one_in=6, validation_one_in=12, seed=1, hold_back=0, own_validation=1200)
    np.testing.assert_array_equal(found["validation"], own)
    assert len(found["test"]) == 800
    assert sorted([*found["train"], *found["test"]]) == list(range(4800))
