import numpy as np
import pytest
from figure_checks import check_axes, check_title_and_bytes

from vaeline.data.sources import MNIST_IMAGE
from vaeline.latents.figure import draw_class_manifolds, draw_interpolations, draw_latent_space, draw_manifold

IMAGES = np.random.default_rng(0).random((12, *MNIST_IMAGE.shape))
TICKS = np.linspace(-2, 2, 3)
FIGURES = {
    "manifold": lambda: draw_manifold(IMAGES[:9].reshape(3, 3, *MNIST_IMAGE.shape), TICKS, "A title", ("z1", "z2")),
    "class_manifolds": lambda: draw_class_manifolds({"a": IMAGES[:9].reshape(3, 3, *MNIST_IMAGE.shape)}, "A title"),
    "interpolations": lambda: draw_interpolations(IMAGES.reshape(3, 4, *MNIST_IMAGE.shape), ["a", "b", "c"], "A title"),
    "latent_space": lambda: draw_latent_space(
        np.eye(2)[[0, 1, 0]], ("z1", "z2"), np.array([0, 1, 1]), ["a", "b"], "A title"
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_its_title_and_the_same_bytes_twice(name, tmp_path):
    check_title_and_bytes(FIGURES[name], tmp_path)


@pytest.mark.parametrize("name", ["manifold", "latent_space"])
def test_axes_are_named(name):
    check_axes(FIGURES[name]())


def test_the_manifold_grows_to_the_right_and_upwards():
    grid = np.zeros((3, 3, 2, 2, 1))
    grid[0, 2] = 0.25
    grid[2, 0] = 0.75
    picture = draw_manifold(grid, TICKS, "t", ("x", "y")).axes[0].images[0].get_array()
    assert picture[-1, -1] == 0.25
    assert picture[0, 0] == 0.75


def test_each_class_has_its_manifold_under_its_name_and_a_row_may_be_short():
    grids = {name: np.full((2, 2, 4, 3, 1), float(grey)) for grey, name in enumerate("abcdefg")}
    grids["g"][0, 1] = 0.5
    panels = draw_class_manifolds(grids, "t").axes
    shown = {axes.get_title(): axes.images[0].get_array() for axes in panels if axes.images}
    assert list(shown) == list("abcdefg")
    assert shown["a"].shape == (8, 6)
    assert (shown["b"] == 1).all()
    assert shown["g"][-1, -1] == 0.5
