import numpy as np
import pytest

from vaeline.applications.augmentation import draw_around

Z_MEAN = np.arange(6.0).reshape(3, 2)
Z_LOG_VAR = np.log(np.array([[0.01, 1.0], [0.01, 1.0], [0.01, 1.0]]))


def drawn(count, temperature, seed=0):
    return draw_around(Z_MEAN, Z_LOG_VAR, count, temperature, np.random.default_rng(seed))


def test_without_noise_the_means_come_back_each_before_any_twice():
    for start in (0, 3):
        assert sorted(map(tuple, drawn(7, 0.0)[start : start + 3])) == sorted(map(tuple, Z_MEAN))


def test_noise_has_the_posteriors_deviation_times_the_temperature():
    away = drawn(30_000, 2.0) - drawn(30_000, 0.0)
    np.testing.assert_allclose(away.std(axis=0), [0.2, 2.0], rtol=0.03)


def test_equal_seeds_draw_alike():
    np.testing.assert_array_equal(drawn(5, 1.0, 3), drawn(5, 1.0, 3))
    assert drawn(5, 1.0, 3) != pytest.approx(drawn(5, 1.0, 4))
