import numpy as np
import pytest
from sklearn.model_selection import train_test_split

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


@pytest.mark.parametrize("seed", range(40))
def test_rows_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice(rng.integers(2, 9), size=rng.integers(120, 400)) * 3
    labels = np.concatenate([labels, np.repeat(np.unique(labels), 2)])
    kept, held = hold_out(labels, int(rng.integers(3, 9)), seed, "test")
    rest, test = train_test_split(np.arange(len(labels)), test_size=len(held), random_state=seed, stratify=labels)
    np.testing.assert_array_equal(kept, np.sort(rest))
    np.testing.assert_array_equal(held, np.sort(test))


def test_more_than_there_are_cannot_be_held_back():
    with pytest.raises(VaelineError, match="no held-back split of 6000 from 5500"):
        split(6000)


def test_a_sources_own_validation_split_is_kept_where_test_is_held_out():
    own = np.arange(4800, 6000)
    found = split_source(LABELS, False, test_one_in=6, validation_one_in=12, seed=1, hold_back=0, own_validation=1200)
    np.testing.assert_array_equal(found["validation"], own)
    assert len(found["test"]) == 800
    assert sorted([*found["train"], *found["test"]]) == list(range(4800))


def test_images_of_a_group_stay_together_and_the_shares_are_kept():
    rng = np.random.default_rng(0)
    groups = np.where(rng.random(6000) < 0.5, rng.integers(0, 300, 6000), np.arange(6000) + 1000)
    found = split_source(LABELS, False, test_one_in=6, validation_one_in=12, seed=1, hold_back=0, groups=groups)
    assert sorted(np.concatenate(list(found.values()))) == list(range(6000))
    names = [set(groups[found[name]]) for name in ("train", "validation", "test")]
    assert not names[0] & names[1] | names[0] & names[2] | names[1] & names[2]
    assert len(found["test"]) == pytest.approx(1000, abs=20)
    assert len(found["validation"]) == pytest.approx(5000 / 12, abs=20)
    assert np.bincount(LABELS[found["test"]]).min() > 70
    again = split_source(LABELS, False, test_one_in=6, validation_one_in=12, seed=2, hold_back=0, groups=groups)
    assert set(found["test"]) != set(again["test"])


def test_groups_of_one_image_give_the_splits_without_groups():
    without, found = hold_out(LABELS, 6, 1, "test"), hold_out(LABELS, 6, 1, "test", np.arange(6000)[::-1])
    np.testing.assert_array_equal(without[1], found[1])


def test_few_large_groups_are_held_out_if_one_fits_or_refused():
    labels, groups = np.tile(np.arange(5), 60), np.repeat([7, 1, 4], 100)
    _, held = hold_out(labels, 3, 1, "test", groups)
    assert len(np.unique(groups[held])) == 1
    assert len(held) == 100
    with pytest.raises(
        VaelineError, match=r"no test split of one in 12 .* 3 groups are too large; lower data\.test_one"
    ):
        hold_out(labels, 12, 1, "test", groups)


def test_a_group_with_a_defective_image_is_tested():
    labels = np.array([0, 1] * 20 + [0] * 60)
    groups = np.concatenate([np.repeat(np.arange(20), 2), np.arange(60) + 20])
    found = split_source(labels, False, test_one_in=6, validation_one_in=6, seed=1, hold_back=0, good=0, groups=groups)
    assert set(range(40)) <= set(found["test"])
    assert len(found["test"]) == 50
