"""The statistics of the gate, held to what they promise by simulation with seeds."""

import numpy as np
import pytest
from scipy import stats

from vaeline.gate.statistics import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    Bound,
    gain_of_chance,
    judge_gain,
    judge_labels,
    label_loss_of_chance,
    mean_gain,
    overall,
    paired_gains,
    seed_distance,
    stratified_means,
)

IMAGES = 600
LABELS = np.arange(IMAGES) % 10
RNG = np.random.default_rng(0)
HARDNESS = RNG.normal(130, 40, IMAGES) + 20 * LABELS
NOISE = RNG.normal(0, 5, IMAGES)


def bound(gains, labels=LABELS, seed=1, confidence=0.95, resamples=1000):
    return mean_gain(np.atleast_2d(gains), labels, confidence, resamples, np.random.default_rng(seed))


@pytest.mark.parametrize(("better", "sign"), [("lower", 1), ("higher", -1)])
def test_a_gain_is_positive_where_the_candidate_is_better(better, sign):
    gains = paired_gains(HARDNESS, HARDNESS - sign * 3, better)
    assert gains.shape == (1, IMAGES)
    np.testing.assert_allclose(gains, 3)
    assert paired_gains(5.0, np.array([[4.0, 7.0]]), "lower").tolist() == [[1, -2]]


def test_a_pair_of_images_tells_far_more_than_two_samples():
    found = bound(paired_gains(HARDNESS, HARDNESS - 2 + NOISE, "lower"))
    unpaired = stats.ttest_ind(HARDNESS, HARDNESS - 2 + NOISE, alternative="greater").confidence_interval().low
    assert unpaired < 0 < found.low < 2 - NOISE.mean() == pytest.approx(found.mean)
    paired = stats.ttest_rel(HARDNESS, HARDNESS - 2 + NOISE, alternative="greater").confidence_interval().low
    assert found.low == pytest.approx(paired, abs=0.05)


def test_the_bound_is_a_function_of_its_seed():
    assert bound(NOISE, seed=1) == bound(NOISE, seed=1)
    assert bound(NOISE, seed=1) != bound(NOISE, seed=2)


def test_strata_take_out_what_only_their_sizes_would_scatter():
    by_class = NOISE + 100 * (LABELS == 3)
    found = bound(by_class)
    without = bound(by_class, labels=np.zeros(IMAGES, int))
    assert found.high - found.low < (without.high - without.low) / 3


def test_few_images_of_a_class_scatter_as_much_as_they_should():
    values = np.array([0.0, 1.0, 5.0, 2.0, 3.0, 7.0])
    labels = np.array([0, 0, 0, 1, 1, 1])
    draws = stratified_means(values, labels, 40_000, np.random.default_rng(1))
    exact = sum(values[labels == label].var(ddof=1) * 3 for label in (0, 1)) / 36
    assert draws.var() == pytest.approx(exact, rel=0.03)
    assert draws.mean() == pytest.approx(values.mean(), abs=0.03)


def test_a_class_with_a_single_image_is_refused():
    with pytest.raises(ValueError, match="the label 2 has a single image"):
        stratified_means(np.zeros(5), np.array([0, 0, 1, 1, 2]), 100, RNG)


def test_large_classes_are_drawn_in_parts_with_every_resample_filled(monkeypatch):
    monkeypatch.setattr("vaeline.gate.statistics.DRAWS_AT_ONCE", 700)
    draws = stratified_means(HARDNESS, LABELS, 333, np.random.default_rng(1))
    assert draws.shape == (333,)
    assert np.abs(draws - HARDNESS.mean()).max() < 12


def test_each_bound_misses_the_truth_about_once_in_twenty():
    rng = np.random.default_rng(3)
    missed_low = missed_high = 0
    for _ in range(600):
        gains = rng.gamma(2, 2, 200) - 4 + 0.3
        found = bound(gains, labels=np.arange(200) % 5, seed=rng.integers(2**31), resamples=400)
        missed_low += found.low > 0.3
        missed_high += found.high < 0.3
    assert 0.025 < missed_low / 600 < 0.08
    assert 0.025 < missed_high / 600 < 0.08


def test_three_seeds_widen_the_bound_by_students_t_over_seeds():
    offsets = np.array([[-1.0], [0.0], [1.0]])
    alone, several = bound(NOISE + 2), bound(NOISE + 2 + offsets)
    assert several.mean == pytest.approx(alone.mean)
    expected = np.hypot(alone.mean - alone.low, 2.92 / np.sqrt(3))
    assert several.mean - several.low == pytest.approx(expected, rel=1e-3)
    assert seed_distance(np.array([1.0]), 0.95) == 0


def test_with_several_seeds_the_bound_covers_the_configurations_gain_not_that_of_three_lucky_ones():
    rng = np.random.default_rng(4)
    missed = 0
    for _ in range(600):
        seeds = rng.normal(0, 1, (3, 1))
        gains = seeds + rng.normal(0, 4, (3, 200))
        missed += bound(gains, labels=np.arange(200) % 5, seed=rng.integers(2**31), resamples=200).low > 0
    assert 0.01 < missed / 600 < 0.08


@pytest.mark.parametrize(
    ("gain", "superior", "non_inferior"),
    [
        (Bound(2.0, 1.2, 2.8), PASS, PASS),
        (Bound(1.5, 0.8, 2.2), INCONCLUSIVE, PASS),
        (Bound(0.0, -0.4, 0.4), INCONCLUSIVE, PASS),
        (Bound(-0.4, -0.9, 0.1), INCONCLUSIVE, INCONCLUSIVE),
        (Bound(-0.8, -1.4, -0.2), INCONCLUSIVE, INCONCLUSIVE),
        (Bound(-2.0, -2.8, -1.2), FAIL, FAIL),
    ],
)
def test_three_verdicts(gain, superior, non_inferior):
    assert judge_gain(gain, 1.0, 0.5) == superior
    assert judge_gain(gain, -0.5, 0.5) == non_inferior


def test_a_digit_that_loses_more_than_the_margin_fails_alone():
    gains = (NOISE - 9 * (LABELS == 3) - 3 * (LABELS == 4))[None]
    table = judge_labels(gains, LABELS, 2.0, 0.95).set_index("label")
    assert table.loc[3, "verdict"] == FAIL
    assert table.loc[4, "verdict"] in {INCONCLUSIVE, FAIL}
    assert set(table.drop([3, 4])["verdict"]) == {PASS}
    alone = stats.ttest_1samp(gains[0, LABELS == 3], -2.0, alternative="less")
    assert table.loc[3, "p_holm"] == pytest.approx(alone.pvalue * 10, rel=1e-6)
    assert table.loc[3, "low"] < table.loc[3, "gain"] < table.loc[3, "high"] < -2
    assert table["images"].eq(60).all()


def test_a_digit_that_seems_worse_is_not_called_so_before_it_is_shown():
    gains = np.zeros((1, IMAGES))
    gains[0, LABELS == 0] = np.tile([-6.0, 1.0], 30)
    table = judge_labels(gains, LABELS, 2.0, 0.95).set_index("label")
    assert table.loc[0, "gain"] == -2.5
    assert table.loc[0, "verdict"] == INCONCLUSIVE
    assert set(table.drop(0)["verdict"]) == {PASS}


def test_at_most_one_candidate_in_twenty_that_sits_on_the_margin_fails_by_any_digit():
    rng = np.random.default_rng(5)
    failed = uncorrected = 0
    for _ in range(300):
        table = judge_labels(rng.normal(-2.0, 5.0, (1, 300)), np.arange(300) % 10, 2.0, 0.95)
        failed += (table["verdict"] == FAIL).any()
        uncorrected += (table["high"] < -2.0).any()
    assert failed / 300 < 0.08
    assert uncorrected / 300 > 0.3


def test_seeds_that_scatter_hide_the_loss_of_a_digit():
    loss = NOISE - 8 * (LABELS == 3)
    scattered = loss + np.array([[-9.0], [0.0], [9.0]]) * (LABELS == 3)
    assert judge_labels(loss[None], LABELS, 2.0, 0.95)["verdict"][3] == FAIL
    assert judge_labels(scattered, LABELS, 2.0, 0.95)["verdict"][3] == INCONCLUSIVE


def test_equal_gains_and_single_images_are_judged_by_what_there_is():
    gains = np.array([[-3.0, -3.0, 1.0, 1.0, -9.0]])
    table = judge_labels(gains, np.array([0, 0, 1, 1, 2]), 2.0, 0.95)
    assert list(table["verdict"]) == [FAIL, PASS, INCONCLUSIVE]


@pytest.mark.parametrize(
    ("verdicts", "word"),
    [
        ([PASS, PASS], PASS),
        ([PASS, INCONCLUSIVE], INCONCLUSIVE),
        ([INCONCLUSIVE, FAIL, PASS], FAIL),
        ([PASS, "not run"], INCONCLUSIVE),
        ([], INCONCLUSIVE),
    ],
)
def test_the_worst_verdict_counts_and_what_was_not_run_is_no_pass(verdicts, word):
    assert overall(verdicts) == word


def test_the_gain_of_chance_is_one_that_a_further_pair_of_seeds_seldom_exceeds():
    rng = np.random.default_rng(6)
    draws = rng.normal(131, 0.4, (4000, 12))
    exceeded = [row[0] - row[1] > gain_of_chance(row[2:], 0.95) for row in draws]
    assert 0.035 < np.mean(exceeded) < 0.065


def test_the_loss_of_chance_is_one_that_no_label_of_a_further_pair_often_exceeds():
    rng = np.random.default_rng(7)
    draws = rng.normal(131, 0.4, (1000, 12, 10))
    exceeded = [(row[0] - row[1] > label_loss_of_chance(row[2:], 0.95)).any() for row in draws]
    assert np.mean(exceeded) < 0.05
