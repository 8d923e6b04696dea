"""The two-sample tests: what they find, what they do not, and that chance is what the p-value says."""

import numpy as np
import pytest
from scipy import stats

from vaeline.monitoring import two_sample_tests
from vaeline.monitoring.scores import Observed


def normal(rows, seed, shift=0.0, scale=1.0, dims=2):
    return shift + scale * np.random.default_rng(seed).standard_normal((rows, dims))


def clusters(rows, seed, classes=4):
    """Latents of four classes that lie apart, with their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=rows)
    centers = np.array([[0, 0], [6, 0], [0, 6], [6, 6]], float)
    return Observed({"reconstruction": rng.normal(size=rows)}, centers[labels] + rng.normal(size=(rows, 2)), labels)


def test_the_effect_of_scores_is_the_largest_difference_of_shares():
    found = two_sample_tests.compare_scores("kl", np.arange(100.0), np.arange(100.0) + 30)
    assert found.effect == pytest.approx(0.3)
    assert found.p < 1e-3
    same = two_sample_tests.compare_scores("kl", normal(2000, 1)[:, 0], normal(300, 2)[:, 0])
    assert same.p > 0.05
    wider = two_sample_tests.compare_scores("kl", normal(2000, 1)[:, 0], normal(300, 2, scale=2)[:, 0])
    assert wider.p < 1e-3, "a shift is not the only difference"


def test_a_few_strange_images_show_in_the_tail_alone():
    reference, window = normal(2000, 1)[:, 0], normal(500, 2)[:, 0]
    window[:25] = 9
    tail = two_sample_tests.compare_tails(reference, window)
    assert tail.p < 1e-4
    assert 0.045 <= tail.effect <= 0.065
    assert two_sample_tests.compare_scores("kl", reference, window).p > 0.01
    fewer = two_sample_tests.compare_tails(reference, reference[reference < 1])
    assert fewer.effect == 0
    assert fewer.p > 0.5, "images that are too usual are no violation of this test"


def test_the_energy_is_that_of_its_definition(monkeypatch):
    x, y = normal(30, 1, shift=0.4, dims=3), normal(40, 2, dims=3)
    mean = lambda a, b: np.linalg.norm(a[:, None] - b[None], axis=2).mean()  # noqa: E731
    wanted = 2 * mean(x, y) - mean(x, x) - mean(y, y)
    found = two_sample_tests.compare_latents(y, x, 99, np.random.default_rng(1))
    assert found.statistic == pytest.approx(wanted, rel=1e-3)
    assert found.effect == pytest.approx(np.sqrt(wanted / (2 * mean(x, y))), rel=1e-3)
    one_dim = two_sample_tests.compare_latents(y[:, :1], x[:, :1], 99, np.random.default_rng(1))
    assert one_dim.statistic == pytest.approx(stats.energy_distance(x[:, 0], y[:, 0]) ** 2, rel=1e-3)


@pytest.mark.parametrize("change", [{"shift": 0.5}, {"scale": 1.6}])
def test_latents_that_moved_or_spread_are_told(change):
    found = two_sample_tests.compare_latents(normal(800, 1), normal(300, 2, **change), 199, np.random.default_rng(1))
    assert found.p == pytest.approx(1 / 200)
    assert found.effect > 0.1


def test_the_permutation_p_value_is_uniform_where_nothing_differs():
    p = [
        two_sample_tests.compare_latents(
            normal(60, 2 * seed), normal(40, 2 * seed + 1), 99, np.random.default_rng(seed)
        ).p
        for seed in range(200)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert min(p) >= 1 / 100


def test_the_class_mix_counts_labels_that_one_side_lacks():
    reference, window = np.repeat([0, 1, 2], 300), np.repeat([0, 1, 3], 50)
    found = two_sample_tests.compare_mix(reference, window)
    assert found.effect == pytest.approx(1 / 3)
    assert found.p < 1e-6
    spread = two_sample_tests.compare_mix(np.repeat([0, 1, 2, 3], 90), np.repeat([0, 1, 2, 3], [50, 50, 30, 30]))
    assert spread.effect == pytest.approx(1 / 8)
    equal = two_sample_tests.compare_mix(reference, np.repeat([0, 1, 2], 50))
    assert equal.p == 1
    assert equal.effect == 0
    assert two_sample_tests.compare_mix(np.zeros(9, int), np.zeros(5, int)).p == 1


def test_wrong_labels_are_told_by_their_neighbours():
    reference, window = clusters(1000, 1), clusters(200, 2)
    right = two_sample_tests.compare_labels(reference, window, 10)
    assert right.p > 0.05
    assert right.effect < 0.02
    wrong = window.labels.copy()
    wrong[:20] = (wrong[:20] + 1) % 4
    found = two_sample_tests.compare_labels(reference, Observed(window.scores, window.latents, wrong), 10)
    assert found.p < 1e-3
    assert found.effect == pytest.approx(0.1, abs=0.02)
    unknown = np.full(200, 7)
    assert two_sample_tests.compare_labels(reference, Observed(window.scores, window.latents, unknown), 10).effect > 0.9


def test_a_reference_image_is_no_neighbour_of_its_own():
    noise = Observed({}, normal(200, 1), np.random.default_rng(2).integers(4, size=200))
    found = two_sample_tests.compare_labels(
        noise, Observed({}, normal(200, 3), np.random.default_rng(4).integers(4, size=200)), 1
    )
    assert found.effect < 0.12, "with itself as the nearest, every label of the reference would fit"


def test_labels_are_tested_only_where_there_are_any():
    reference, window = clusters(300, 1), clusters(100, 2)
    run = lambda new: [each.name for each in two_sample_tests.compare(reference, new, 99, 5, np.random.default_rng(1))]  # noqa: E731
    assert run(window) == ["reconstruction", "unusual", "latents", "class_mix", "labels"]
    assert run(Observed(window.scores, window.latents)) == ["reconstruction", "unusual", "latents"]
    assert set(two_sample_tests.TITLES) == set(two_sample_tests.EFFECTS)
