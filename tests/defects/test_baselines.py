import numpy as np
import pytest
from sklearn.decomposition import PCA

from vaeline.defects import baselines
from vaeline.defects.baselines import fit_components, nearest_neighbours
from vaeline.images.arrays import to_unit


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    """Training images are read fifty at a time."""
    monkeypatch.setattr(baselines, "PART_NUMBERS", 50 * 28 * 28)


def test_components_reconstruct_as_well_as_those_of_scikit_learn(digits):
    images = digits.images[:220]
    flat = to_unit(images).reshape(len(images), -1)
    exact = PCA(12, svd_solver="full").fit(flat)
    expected = np.square(flat - exact.inverse_transform(exact.transform(flat))).mean()
    found = fit_components(images, 12, 1)
    error = np.square(to_unit(images) - found.reconstruct(to_unit(images))).mean()
    assert error == pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(found.components @ found.components.T, np.eye(12), atol=1e-4)


def test_there_are_never_more_components_than_images_less_one(digits):
    assert len(fit_components(digits.images[:7], 50, 1).components) == 6


def test_the_nearest_neighbour_is_found_in_whatever_part_it_stands(digits):
    training, images = digits.images[:220], to_unit(digits.images[1000:1030])
    flat = to_unit(training).reshape(len(training), -1)
    distances = np.square(images.reshape(len(images), 1, -1) - flat).sum(axis=2)
    np.testing.assert_array_equal(nearest_neighbours(training)(images), to_unit(training[distances.argmin(axis=1)]))
