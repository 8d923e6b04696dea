import numpy as np
from scipy.stats import norm

from vaeline.applications.traversal import traverse

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
