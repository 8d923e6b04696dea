import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from vaeline.anomaly.separation import ALTERATIONS, alter, alterations_of, auroc_error, separation, separation_table
from vaeline.images.spec import ImageSpec


def fresh(seed):
    rng = np.random.default_rng([7, seed])
    return rng.normal(size=300), rng.normal(1, 1, size=200)


def test_separation_agrees_with_scikit_learn_and_with_counting_pairs():
    rng = np.random.default_rng(0)
    usual, strange = rng.normal(size=300).round(1), rng.normal(1, 1, size=200).round(1)
    wins = (strange[:, None] > usual) + 0.5 * (strange[:, None] == usual)
    figures = separation(usual, strange, 1)
    assert figures["auroc"] == pytest.approx(wins.mean())
    labels, scores = [0] * 300 + [1] * 200, np.concatenate([usual, strange])
    assert figures["auroc"] == roc_auc_score(labels, scores) > 0.7
    assert figures["average_precision"] == average_precision_score(labels, scores)
    draws = [average_precision_score(labels, np.concatenate(sets)) for sets in (fresh(seed) for seed in range(200))]
    assert figures["average_precision_se"] == pytest.approx(np.std(draws, ddof=1), rel=0.5)


def test_the_error_of_the_auroc_is_its_spread_over_data_sets():
    def draw(seed):
        rng = np.random.default_rng(seed)
        return rng.normal(size=200), rng.normal(0.8, 1, size=100)

    values = [roc_auc_score([0] * 200 + [1] * 100, np.concatenate(draw(seed))) for seed in range(400)]
    assert auroc_error(*draw(1000)) == pytest.approx(np.std(values, ddof=1), rel=0.2)


def test_ties_count_half_in_the_error():
    usual, strange = np.repeat([0.0, 1.0], [150, 50]), np.repeat([0.0, 1.0], [20, 80])
    above, below = np.where(strange, 0.875, 0.375), np.where(usual, 0.6, 0.1)
    expected = np.sqrt(above.var(ddof=1) / 100 + below.var(ddof=1) / 200)
    assert auroc_error(usual, strange) == pytest.approx(expected)


def test_perfect_separation_has_no_error():
    assert separation(np.zeros(10), np.ones(10), 1) == pytest.approx(
        {"auroc": 1, "auroc_se": 0, "average_precision": 1, "average_precision_se": 0}
    )


def test_alterations_are_what_they_are_called():
    images = np.random.default_rng(0).random((3, 4, 4, 3), dtype="float32")
    np.testing.assert_array_equal(alter(images, "hflip", 1)[0, :, 0], images[0, :, -1])
    np.testing.assert_array_equal(alter(images, "vflip", 1)[0, 0], images[0, -1])
    np.testing.assert_array_equal(alter(images, "rotation", 1)[2], np.rot90(images[2]))
    np.testing.assert_array_equal(alter(images, "inversion", 1), 1 - images)
    assert (alter(images, "constant", 1).std(axis=(1, 2, 3)) == 0).all()
    assert len(np.unique(alter(images, "constant", 1))) == 3
    assert alterations_of(ImageSpec(height=4, width=4, channels=3)) == tuple(ALTERATIONS)
    assert "rotation" not in alterations_of(ImageSpec(height=4, width=6, channels=3))
    for name in ALTERATIONS:
        changed = alter(images, name, 1)
        assert changed.shape == images.shape
        assert changed.dtype == np.float32
        np.testing.assert_array_equal(changed, alter(images, name, 1))
    assert not np.array_equal(alter(images, "noise", 1), alter(images, "noise", 2))


def test_an_image_is_altered_alike_in_any_part():
    images = np.random.default_rng(0).random((5, 3, 3, 1), dtype="float32")  # an odd number of draws for each image
    drawn = np.random.default_rng(1).random(images.shape, dtype="float32")
    np.testing.assert_array_equal(alter(images, "noise", 1), drawn)
    for name in ("noise", "constant"):
        rows = np.array([1, 4])
        np.testing.assert_array_equal(alter(images[rows], name, 1, rows), alter(images, name, 1)[rows])


def test_the_table_holds_every_score_of_every_kind():
    usual = {"a": np.arange(10.0), "b": -np.arange(10.0)}
    table = separation_table(usual, {"odd": {"a": np.arange(10.0) + 20, "b": np.arange(10.0) - 40}}, 1)
    assert isinstance(table, pd.DataFrame)
    assert table.set_index(["kind", "score"])["auroc"].to_dict() == {("odd", "a"): 1.0, ("odd", "b"): 0.0}
