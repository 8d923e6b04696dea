import numpy as np
import pytest

from vaeline.errors import VaelineError
from vaeline.latents.interpolation import PATHS, latent_arc

RNG = np.random.default_rng(0)


def unit(dimensions):
    vector = RNG.normal(size=dimensions)
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dimensions", [2, 20])
def test_every_path_starts_and_ends_where_it_should(path, dimensions):
    start, end = RNG.normal(size=(2, dimensions))
    way = PATHS[path](start, end, 7)
    assert way.shape == (7, dimensions)
    np.testing.assert_allclose(way[[0, -1]], [start, end], atol=1e-6)


def test_an_arc_keeps_the_length_and_turns_evenly():
    way = latent_arc(3 * unit(20), 3 * unit(20), 9)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), 3, rtol=1e-6)
    cosines = (way[1:] * way[:-1]).sum(axis=1) / 9
    np.testing.assert_allclose(cosines, cosines[0], rtol=1e-5)
    assert np.linalg.norm(PATHS["linear"](way[0], way[-1], 9)[4]) < 2.9


def test_between_lengths_the_length_changes_evenly():
    way = latent_arc(np.array([1.0, 0]), np.array([0, 3.0]), 5)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), [1, 1.5, 2, 2.5, 3], rtol=1e-6)
    np.testing.assert_allclose(way[2], [np.sqrt(2), np.sqrt(2)], rtol=1e-6)


@pytest.mark.parametrize(("start", "end"), [([1, 1], [3, 3]), ([0, 0], [2, -1]), ([2.0], [5.0])])
def test_without_an_angle_an_arc_is_straight(start, end):
    found = latent_arc(np.array(start), np.array(end), 5)
    np.testing.assert_allclose(found, np.linspace(start, end, 5), atol=1e-6)


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_opposite_directions_have_no_shortest_arc(dimensions):
    start = unit(dimensions)
    with pytest.raises(VaelineError, match="opposite directions"):
        latent_arc(start, -2 * start, 5)
