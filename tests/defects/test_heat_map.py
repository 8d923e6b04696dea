import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vaeline.defects import heat_map
from vaeline.defects.heat_map import MapStatistics, cell_means, image_scores, scales_of, surprise, top_pixels
from vaeline.images.spec import ImageSpec


def test_a_feature_is_the_energy_of_the_residual_and_another_that_of_the_smoothed_residual():
    rng = np.random.default_rng(0)
    images, expected = rng.random((2, 2, 12, 9, 3), dtype="float32")
    found = surprise(images, expected, (1.5,))
    residual = images - expected
    residual /= np.sqrt(np.abs(residual).mean(axis=(1, 2, 3), keepdims=True))
    for row in range(2):
        energy = gaussian_filter((residual[row] ** 2).mean(axis=2), 1.5)
        smoothed = np.stack([gaussian_filter(residual[row, ..., channel], 1.5) for channel in range(3)], axis=2)
        np.testing.assert_allclose(found[0, row], energy, rtol=1e-4)
        np.testing.assert_allclose(found[1, row], gaussian_filter((smoothed**2).mean(axis=2), 1.5), rtol=1e-3)


def test_the_residual_of_a_flat_image_is_divided_by_one_level_at_least():
    images = np.full((1, 8, 8, 1), 1e-6, "float32")
    np.testing.assert_allclose(surprise(images, np.zeros_like(images), (1.0,)), 1e-12 * 255, rtol=1e-4)


@pytest.mark.parametrize(
    ("side", "scales"), [((8, 8), (1,)), ((28, 28), (1,)), ((64, 40), (1, 2)), ((256, 256), (1, 2, 4, 8, 16))]
)
def test_scales_grow_with_the_shorter_side(side, scales):
    assert scales_of(ImageSpec(height=side[0], width=side[1], channels=1)) == scales


@pytest.mark.parametrize(("size", "cells"), [((8, 8), (8, 8)), ((33, 47), (16, 16)), ((16, 20), (16, 16))])
def test_cells_cover_each_pixel_once(size, cells):
    values = np.random.default_rng(0).random((2, 3, *size), dtype="float32")
    found = cell_means(values)
    assert found.shape == (2, 3, *cells)
    ones = np.zeros((1, 1, *size), "float32")
    total = 0
    for row in range(size[0]):
        for column in (0, size[1] // 2, size[1] - 1):
            ones[:] = 0
            ones[0, 0, row, column] = 1
            total += (cell_means(ones) > 0).sum()
    assert total == 3 * size[0]
    np.testing.assert_allclose(cell_means(np.ones_like(values)), 1)


def test_the_statistics_of_a_cell_are_those_of_its_pixels_with_a_floor_for_the_deviation():
    mean = np.array([[[0.0, 4.0]]])
    square = mean**2 + [[[0.0, 9.0]]]
    found = MapStatistics.of_moments((1.0,), (4, 8), mean, square)
    overall = (square.mean() - mean.mean() ** 2) * heat_map.FLOOR**2
    np.testing.assert_allclose(found.deviation, np.sqrt(np.array([[[0.0, 9.0]]]) + overall), rtol=1e-6)


def test_the_score_is_the_mean_of_the_highest_pixels():
    maps = np.arange(24, dtype="float32").reshape(2, 3, 4)
    np.testing.assert_allclose(image_scores(maps, 2), [10.5, 22.5])
    assert top_pixels(28, 28) == 8
    assert top_pixels(8, 8) == 1
