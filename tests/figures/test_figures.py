import numpy as np
import pandas as pd
import pytest

from vaeline.figures.canvas import save_figure
from vaeline.figures.charts import draw_class_losses, draw_latent_space, draw_learning_curves
from vaeline.figures.images import (
    draw_hardest,
    draw_interpolations,
    draw_manifold,
    draw_reconstructions,
    draw_samples,
)

IMAGES = np.random.default_rng(0).random((12, 28, 28))
TICKS = np.linspace(-2, 2, 3)
HISTORY = pd.DataFrame({"epoch": [1, 2], "learning_rate": [0.1, 0.0]}).assign(
    **{f"{split}{name}": [2.0, 1.0] for split in ("", "val_") for name in ("neg_elbo", "reconstruction", "kl")}
)
BY_CLASS = pd.DataFrame(
    {"reconstruction": [3.0, 4.0], "kl": [1.0, 1.0], "neg_elbo": [4.0, 5.0], "neg_elbo_se": [0.1, 0.1]},
    index=["a", "b"],
)
FIGURES = {
    "manifold": lambda: draw_manifold(IMAGES[:9].reshape(3, 3, 28, 28), TICKS, "A title", ("z1", "z2")),
    "reconstructions": lambda: draw_reconstructions(IMAGES, IMAGES, 4, "A title"),
    "interpolations": lambda: draw_interpolations(IMAGES.reshape(3, 4, 28, 28), ["a", "b", "c"], "A title"),
    "samples": lambda: draw_samples(IMAGES, 4, "A title"),
    "hardest": lambda: draw_hardest(IMAGES[:3], IMAGES[:3], ["a", "b", "c"], "A title"),
    "latent_space": lambda: draw_latent_space(
        np.eye(2)[[0, 1, 0]], ("z1", "z2"), np.array([0, 1, 1]), ["a", "b"], "A title"
    ),
    "learning_curves": lambda: draw_learning_curves(HISTORY, "A title"),
    "class_losses": lambda: draw_class_losses(BY_CLASS, "A title"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_its_title_and_the_same_bytes_twice(name, tmp_path):
    figure = FIGURES[name]()
    titles = [axes.get_title() for axes in figure.axes] + [figure.get_suptitle()]
    assert "A title" in titles
    save_figure(figure, tmp_path / "a.png")
    save_figure(FIGURES[name](), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("name", ["manifold", "latent_space", "learning_curves", "class_losses"])
def test_axes_are_named(name):
    for axes in FIGURES[name]().axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()


def test_the_manifold_grows_to_the_right_and_upwards():
    grid = np.zeros((3, 3, 2, 2))
    grid[0, 2] = 0.25
    grid[2, 0] = 0.75
    picture = draw_manifold(grid, TICKS, "t", ("x", "y")).axes[0].images[0].get_array()
    assert picture[-1, -1] == 0.25
    assert picture[0, 0] == 0.75


def test_an_original_stands_above_its_reconstruction():
    figure = draw_reconstructions(np.zeros((4, 2, 2)), np.ones((4, 2, 2)), 2, "t")
    values = [float(axes.images[0].get_array().max()) for axes in figure.axes]
    assert values == [0, 0, 1, 1, 0, 0, 1, 1]
