"""Near copies of drawings."""

import numpy as np
import pytest

from vaeline.data import neighbours
from vaeline.data.neighbours import find_near_copies, principal_axes, standardize


def one_level(images, rng):
    images[np.arange(len(images)), 14, rng.integers(5, 23, len(images))] ^= 1


def noise(images, rng):
    images += rng.integers(0, 9, images.shape, "uint8")


def brighter(images, rng):
    images[:] = images * 0.9


@pytest.mark.parametrize("change", [one_level, noise, brighter])
def test_near_copies_are_found_in_all_parts_and_others_are_not(digits, change):
    images, copies = digits.images[:600].copy(), digits.images[40:60].copy()
    images = np.minimum(images, 240)
    copies = np.minimum(copies, 240)
    change(copies, np.random.default_rng(0))
    groups = find_near_copies([images, copies], np.arange(620))
    np.testing.assert_array_equal(groups[600:], groups[40:60])
    assert len(np.unique(groups[:600])) == len(np.unique(find_near_copies([images], np.arange(600))))


def test_moved_images_other_drawings_and_flat_ones_are_no_near_copies(digits):
    image = digits.images[:1]
    images = np.concatenate([image, np.roll(image, 2, axis=2), image[:, ::-1], 0 * image, 0 * image + 9])
    assert len(np.unique(find_near_copies([images], np.arange(5)))) == 5


def test_equal_images_stay_together_and_groups_do_not_depend_on_parts(digits, monkeypatch):
    images = digits.images[:300].copy()
    images[200:250] = images[:50]
    images[251] = images[250] = images[7]
    images[250:252, 14, 14] ^= 4
    equal = np.unique(images.reshape(300, -1), axis=0, return_inverse=True)[1].ravel()
    groups = find_near_copies([images], equal)
    np.testing.assert_array_equal(groups[200:250], groups[:50])
    assert groups[250] == groups[251] == groups[7]
    monkeypatch.setattr(neighbours, "ROWS_AT_A_TIME", 64)
    monkeypatch.setattr(neighbours, "NUMBERS_AT_A_TIME", 20 * 784)
    parts = find_near_copies([images[:100], images[100:]], equal)
    assert len(np.unique(parts * 1000 + groups)) == len(np.unique(groups)) == len(np.unique(parts))


def test_vectors_have_mean_0_and_norm_1_and_axes_are_orthogonal(digits):
    vectors = standardize(digits.images[:50].repeat(3, axis=3), side=16)
    assert vectors.shape == (50, 3 * 16 * 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(vectors.mean(axis=1), 0, atol=1e-6)
    mean, axes = principal_axes(vectors, 5)
    np.testing.assert_allclose(axes.T @ axes, np.eye(5), atol=1e-5)
    exact = np.linalg.svd(vectors - mean, compute_uv=False)[:5]
    np.testing.assert_allclose(np.linalg.norm((vectors - mean) @ axes, axis=0), exact, rtol=1e-3)
    assert principal_axes(vectors[:3], 5)[1].shape == (768, 3)
