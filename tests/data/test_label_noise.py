"""Doubtful labels."""

import numpy as np
import pytest

from vaeline.data import label_noise
from vaeline.data.label_noise import doubtful_shares, judge_labels, judged_rows


@pytest.fixture
def noisy(digits):
    """The labels of the digits with 5 % of wrong ones, the rows of these, and the right labels."""
    rng, labels = np.random.default_rng(0), digits.labels.astype("int64")
    wrong = rng.choice(len(labels), len(labels) // 20, replace=False)
    found = labels.copy()
    found[wrong] = (found[wrong] + rng.integers(1, 10, len(wrong))) % 10
    return found, wrong, labels


def test_wrong_labels_are_named_with_the_right_ones(digits, noisy):
    labels, wrong, right = noisy
    doubts, likely = judge_labels([digits.images], [labels])
    doubtful = np.flatnonzero(doubts > 0)
    assert len(np.intersect1d(doubtful, wrong)) > 0.65 * len(wrong)
    assert len(np.intersect1d(doubtful, wrong)) > 0.9 * len(doubtful)
    assert (likely[doubtful] == right[doubtful]).mean() > 0.95
    np.testing.assert_array_equal(likely[doubts == 0], labels[doubts == 0])


def test_right_labels_are_seldom_doubtful_and_more_seldom_among_more(digits):
    shares = doubtful_shares([digits.images], [digits.labels])
    assert list(shares) == [300, 1000, 1797]
    assert 0.02 > shares[300] > shares[1000] > shares[1797]


def test_names_of_classes_do_not_matter(digits, noisy):
    labels, _, _ = noisy
    doubts, likely = judge_labels([digits.images], [labels])
    other, moved = judge_labels([digits.images], [labels * 7 + 3])
    np.testing.assert_array_equal(doubts, other)
    np.testing.assert_array_equal(likely * 7 + 3, moved)


def test_of_many_rows_a_part_of_each_split_is_judged(digits, monkeypatch):
    monkeypatch.setattr(label_noise, "MOST_JUDGED", 600)
    parts, labels = [digits.images[:1200], digits.images[1200:]], [digits.labels[:1200], digits.labels[1200:]]
    doubts, likely = judge_labels(parts, labels)
    np.testing.assert_array_equal(np.isnan(doubts), np.isnan(likely))
    assert [int((~np.isnan(part)).sum()) for part in np.split(doubts, [1200])] == [401, 199]
    assert judged_rows({"train": 1200, "test": 597}) == {"train": 401, "test": 199}


@pytest.mark.parametrize("case", ["few", "one class", "two sizes", "floats"])
def test_what_cannot_be_judged_is_not(digits, case):
    images, labels = digits.images[:400], digits.labels[:400]
    parts, given = {
        "few": ([images[:299]], [labels[:299]]),
        "one class": ([images], [0 * labels]),
        "two sizes": ([images, images[:, :20]], [labels, labels]),
        "floats": ([images / 255], [labels]),
    }[case]
    assert np.isnan(judge_labels(parts, given)).all()
    assert doubtful_shares(parts, given) == {}
    assert sum(judged_rows({"all": 299}).values()) == 0


def test_as_many_classes_as_images_are_judged(digits):
    doubts, _ = judge_labels([digits.images[:400]], [np.arange(400)])
    assert not (doubts > 0).any()
