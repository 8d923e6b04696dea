import numpy as np
import pandas as pd
import pytest
from figure_checks import check_axes, check_title_and_bytes

from vaeline.data.sources import MNIST_IMAGE
from vaeline.likelihood.figure import (
    draw_class_losses,
    draw_hardest,
    draw_rate_distortion,
    draw_reconstructions,
    notes_of,
)

IMAGES = np.random.default_rng(0).random((12, *MNIST_IMAGE.shape))
BY_CLASS = pd.DataFrame(
    {"reconstruction": [3.0, 4.0], "kl": [1.0, 1.0], "neg_elbo": [4.0, 5.0], "neg_elbo_se": [0.1, 0.1]},
    index=["a", "b"],
)
FIGURES = {
    "reconstructions": lambda: draw_reconstructions(IMAGES, IMAGES, 4, "A title"),
    "hardest": lambda: draw_hardest(IMAGES[:3], IMAGES[:3], ["a", "b", "c"], "A title"),
    "class_losses": lambda: draw_class_losses(BY_CLASS, "A title"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_its_title_and_the_same_bytes_twice(name, tmp_path):
    check_title_and_bytes(FIGURES[name], tmp_path)


@pytest.mark.parametrize("name", ["class_losses"])
def test_axes_are_named(name):
    check_axes(FIGURES[name]())


def test_an_original_stands_above_its_reconstruction():
    figure = draw_reconstructions(np.zeros((4, 2, 2, 1)), np.ones((4, 2, 2, 1)), 2, "t")
    values = [float(axes.images[0].get_array().max()) for axes in figure.axes]
    assert values == [0, 0, 1, 1, 0, 0, 1, 1]


def test_rate_and_distortion_name_their_beta():
    points = pd.DataFrame({"beta": [0.5, 1.0], "rate": [30.0, 22.0], "distortion": [70.0, 76.0]})
    (axes,) = draw_rate_distortion(points, "a title").axes
    assert [text.get_text() for text in axes.texts] == ["β = 0.5", "β = 1"]
    curve, *levels = axes.lines
    np.testing.assert_allclose(curve.get_xydata(), points[["rate", "distortion"]])
    sums = {float(np.ptp(line.get_xydata().sum(axis=1))) for line in levels}
    assert max(sums) < 1e-9
    assert levels[0].get_xydata().sum(axis=1)[0] == 98
    assert axes.get_xlabel().endswith("nats per image")


def test_the_class_and_the_loss_of_an_image_stand_on_one_line_if_all_of_them_fit():
    assert notes_of(["7", "1"], [312.4, 300.0]) == ["7, 312 nats", "1, 300 nats"]
    assert notes_of(["7", "longsleeve"], [312.4, 158869.0]) == ["7\n312 nats", "longsleeve\n158869 nats"]
