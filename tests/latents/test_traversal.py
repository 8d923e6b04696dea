import numpy as np
import pytest
from scipy.stats import norm

from vaeline.latents.interpolation import latent_line
from vaeline.latents.traversal import class_grid, plane_view, prior_grid, traverse


def test_the_grid_runs_through_the_quantiles_of_the_prior_in_the_two_busiest_dimensions():
    z_mean = np.random.default_rng(0).normal(size=(500, 4)) * [0.1, 2.0, 0.5, 1.0]
    grid, quantiles, names = prior_grid(5, z_mean)
    assert names == ("z2, quantiles of the prior", "z4, quantiles of the prior")
    np.testing.assert_allclose(norm.cdf(quantiles), [0.1, 0.3, 0.5, 0.7, 0.9], atol=1e-6)
    np.testing.assert_allclose(grid[2, :, 1], quantiles)
    np.testing.assert_allclose(grid[:, 2, 3], quantiles)
    assert not grid[..., [0, 2]].any()


def test_one_latent_gives_a_line():
    grid, quantiles, names = prior_grid(3, np.ones((2, 1)))
    assert names == ("z1, quantiles of the prior", "(no second latent)")
    np.testing.assert_allclose(grid[..., 0], np.tile(quantiles, (3, 1)))


def test_a_classs_grid_is_as_wide_as_the_class_and_keeps_what_all_of_it_has():
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(4000, 2)) * [3.0, 0.5]
    z_mean = np.column_stack([plane[:, 1] + 1, plane[:, 0] - 2, np.zeros(4000), np.ones(4000)])
    grid = class_grid(5, z_mean)
    assert grid.shape == (5, 5, 4)
    np.testing.assert_allclose(grid[2, 2], [1, -2, 0, 1], atol=0.1)
    quantiles = norm.ppf([0.1, 0.3, 0.5, 0.7, 0.9])
    np.testing.assert_allclose(np.abs(grid[2, :, 1] + 2), np.abs(3 * quantiles), atol=0.15)
    np.testing.assert_allclose(np.abs(grid[:, 2, 0] - 1), np.abs(0.5 * quantiles), atol=0.15)
    np.testing.assert_allclose(grid[..., 2:], np.broadcast_to([0, 1], (5, 5, 2)), atol=1e-6)


def test_a_line_has_both_ends():
    line = latent_line(np.zeros(2), np.array([2.0, 4.0]), 3)
    np.testing.assert_allclose(line, [[0, 0], [1, 2], [2, 4]])


def test_the_plane_is_z_itself_or_its_principal_components():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, 2))
    np.testing.assert_array_equal(plane_view(points)[0], points)
    wide = np.column_stack([rng.normal(size=300) * 0.1, points[:, 0] * 5, points[:, 1]])
    view, names = plane_view(wide)
    assert abs(np.corrcoef(view[:, 0], wide[:, 1])[0, 1]) == pytest.approx(1, abs=0.01)
    assert "9" in names[0]
    assert "% of the variance" in names[0]
    assert plane_view(points[:, :1])[0].shape == (300, 2)


CENTER = np.array([0.5, -1.0, 2.0])


def test_each_row_sweeps_its_own_latent_over_the_prior_and_holds_the_others():
    latents, values = traverse(CENTER, 5, 3)
    assert latents.shape == (3, 5, 3)
    np.testing.assert_allclose(norm.cdf(values), [0.1, 0.3, 0.5, 0.7, 0.9], atol=1e-6)
    for dimension in range(3):
        np.testing.assert_allclose(latents[dimension, :, dimension], values)
        others = np.delete(latents[dimension], dimension, axis=1)
        np.testing.assert_allclose(others, np.tile(np.delete(CENTER, dimension), (5, 1)))


def test_the_middle_of_an_odd_sweep_around_the_origin_is_the_origin():
    latents, values = traverse(np.zeros(4), 11, 4)
    assert values[5] == 0
    assert not latents[:, 5].any()


def test_what_is_not_swept_is_held_and_has_no_row():
    latents, _ = traverse(CENTER, 5, 2)
    assert latents.shape == (2, 5, 3)
    assert (latents[..., 2] == 2.0).all()
