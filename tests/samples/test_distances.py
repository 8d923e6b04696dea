import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

from vaeline.samples import distances
from vaeline.samples.distances import (
    compare_samples,
    coverage_scores,
    frechet_distance,
    frechet_error,
    kernel_distance,
    pair_distances,
)


def gaussian(mean, covariance, count, seed):
    return np.random.default_rng(seed).multivariate_normal(mean, covariance, count)


def test_the_frechet_distance_of_two_gaussians_is_the_closed_form():
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    first = rotation @ np.diag([1.0, 4.0, 9.0]) @ rotation.T
    second = rotation @ np.diag([4.0, 1.0, 1.0]) @ rotation.T
    # Commuting covariances: (1 - 2)² + (2 - 1)² + (3 - 1)² = 6, and the means are 5 apart.
    a, b = gaussian([0, 0, 0], first, 400_000, 1), gaussian([3, 4, 0], second, 400_000, 2)
    assert frechet_distance(a, b) == pytest.approx(25 + 6, rel=0.01)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b))


def test_the_frechet_distance_agrees_with_an_independent_formula():
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(400, 6)) @ rng.normal(size=(6, 6)) + 1
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(first + second - 2 * np.real(sqrtm(first @ second)))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)


def test_a_constant_feature_does_no_harm():
    a = np.column_stack([np.random.default_rng(0).normal(size=300), np.zeros(300)])
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_the_error_of_the_frechet_distance_is_its_spread_over_data_sets():
    def pair(seed):
        rng = np.random.default_rng(seed)
        return rng.normal(size=(500, 4)), rng.normal(size=(500, 4)) + 1

    spread = np.std([frechet_distance(*pair(seed)) for seed in range(100)], ddof=1)
    assert frechet_error(*pair(1000), seed=1) == pytest.approx(spread, rel=0.4)


def test_kid_is_unbiased_and_sees_a_shift():
    def normal(seed, shift=0.0):
        return np.random.default_rng(seed).normal(size=(10_000, 8)) + shift

    same, error = kernel_distance(normal(1), normal(2))
    assert abs(same) < 3 * error
    shifted, error = kernel_distance(normal(1), normal(2, 0.3))
    assert shifted > 5 * error


def test_kid_is_the_textbook_double_sum():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(12, 3)), rng.normal(size=(12, 3)) + 1

    def mmd2(x, y):
        def kernel(u, v):
            return (u @ v / 3 + 1) ** 3

        n = len(x)
        own = sum(kernel(s[i], s[j]) for s in (x, y) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
        return own - 2 * sum(kernel(u, v) for u in x for v in y) / n**2

    assert kernel_distance(a, b)[0] == pytest.approx((mmd2(a[:6], b[:6]) + mmd2(a[6:], b[6:])) / 2)


def test_coverage_scores_are_their_definitions_row_by_row(monkeypatch):
    monkeypatch.setattr("vaeline.samples.distances.CHUNK_MIB", 0.01)
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(120, 4)), 0.6 * rng.normal(size=(80, 4))
    between = pairwise_distances(real, generated)
    real_own, generated_own = (np.sort(pairwise_distances(rows), axis=1) for rows in (real, generated))
    scores = coverage_scores(real, generated)
    for j in range(80):
        assert scores["precision"][j] == any(between[i, j] <= real_own[i, 3] for i in range(120))
        assert scores["density"][j] == sum(between[i, j] <= real_own[i, 5] for i in range(120)) / 5
    for i in range(120):
        assert scores["recall"][i] == any(between[i, j] <= generated_own[j, 3] for j in range(80))
        assert scores["coverage"][i] == any(between[i, j] <= real_own[i, 5] for j in range(80))


def test_pair_distances_are_the_mean_over_all_pairs_with_an_honest_error(monkeypatch):
    monkeypatch.setattr("vaeline.samples.distances.CHUNK_MIB", 0.01)
    draws = np.random.default_rng(0).normal(size=(200, 60, 3))
    found = np.array([pair_distances(rows) for rows in draws])
    between = pairwise_distances(draws[0])
    assert found[0, 0] == pytest.approx(between[np.triu_indices(60, 1)].mean())
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(ddof=1), rel=0.2)


def test_a_collapsed_generator_is_precise_but_covers_nothing():
    real = np.random.default_rng(0).normal(size=(1000, 5))
    collapsed = 0.05 * np.random.default_rng(1).normal(size=(1000, 5))
    figures = compare_samples(real, collapsed, 1)
    good = compare_samples(real, np.random.default_rng(2).normal(size=(1000, 5)), 1)
    assert figures["precision"] > 0.99
    assert figures["recall"] < 0.05
    assert figures["coverage"] < 0.2
    assert good["recall"] > 0.9 < good["coverage"]
    assert good["density"] == pytest.approx(1, abs=0.1)
    assert {name for name in figures if name.endswith("_se")} == {f"{name}_se" for name in figures if "_se" not in name}


def test_the_memory_of_the_kernel_does_not_grow_with_the_square_of_the_larger_set(monkeypatch):
    monkeypatch.setattr(distances, "KID_BLOCK", 50)
    rng = np.random.default_rng(0)
    many, few = rng.standard_normal((6000, 4)), rng.standard_normal((60, 4))
    tracemalloc.start()
    found, error = kernel_distance(many, few)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2_000_000  # bytes; a block of 3,000 rows has a kernel of 72,000,000
    assert abs(found) < 5 * error
