import numpy as np
import pandas as pd
import pytest

from vaeline.anomaly.figure import draw_anomalies
from vaeline.codes.figure import draw_codes
from vaeline.compression.figure import draw_compression
from vaeline.data.sources import MNIST_IMAGE
from vaeline.figures.canvas import save_figure
from vaeline.figures.learning_curves import draw_learning_curves
from vaeline.latents.figure import draw_class_manifolds, draw_interpolations, draw_latent_space, draw_manifold
from vaeline.likelihood.figure import draw_class_losses, draw_hardest, draw_rate_distortion, draw_reconstructions
from vaeline.restoration.figure import draw_restorations
from vaeline.samples.figure import draw_samples

IMAGES = np.random.default_rng(0).random((12, *MNIST_IMAGE.shape))
TICKS = np.linspace(-2, 2, 3)
HISTORY = pd.DataFrame({"epoch": [1, 2], "learning_rate": [0.1, 0.0]}).assign(
    **{f"{split}{name}": [2.0, 1.0] for split in ("", "val_") for name in ("neg_elbo", "reconstruction", "kl")}
)
BY_CLASS = pd.DataFrame(
    {"reconstruction": [3.0, 4.0], "kl": [1.0, 1.0], "neg_elbo": [4.0, 5.0], "neg_elbo_se": [0.1, 0.1]},
    index=["a", "b"],
)
SEPARATION = pd.DataFrame(
    {"kind": ["x", "x", "y", "y"], "score": ["a", "b"] * 2, "auroc": [0.9, 0.4, 0.7, 0.6], "auroc_se": 0.01}
)
CURVE = pd.DataFrame({"step": [1.0, 0.1], "code_bits": [4.0, 11.0], "code_mse": [0.05, 0.03]})
FIGURES = {
    "manifold": lambda: draw_manifold(IMAGES[:9].reshape(3, 3, *MNIST_IMAGE.shape), TICKS, "A title", ("z1", "z2")),
    "class_manifolds": lambda: draw_class_manifolds({"a": IMAGES[:9].reshape(3, 3, *MNIST_IMAGE.shape)}, "A title"),
    "reconstructions": lambda: draw_reconstructions(IMAGES, IMAGES, 4, "A title"),
    "interpolations": lambda: draw_interpolations(IMAGES.reshape(3, 4, *MNIST_IMAGE.shape), ["a", "b", "c"], "A title"),
    "samples": lambda: draw_samples(IMAGES, 4, "A title"),
    "hardest": lambda: draw_hardest(IMAGES[:3], IMAGES[:3], ["a", "b", "c"], "A title"),
    "latent_space": lambda: draw_latent_space(
        np.eye(2)[[0, 1, 0]], ("z1", "z2"), np.array([0, 1, 1]), ["a", "b"], "A title"
    ),
    "learning_curves": lambda: draw_learning_curves(HISTORY, "A title"),
    "class_losses": lambda: draw_class_losses(BY_CLASS, "A title"),
    "restorations": lambda: draw_restorations({"damaged": IMAGES[:4], "restored": IMAGES[4:8]}, "A title"),
    "anomalies": lambda: draw_anomalies(SEPARATION, "A title"),
    "codes": lambda: draw_codes(np.array([3, 0, 6]), 1.9, "A title"),
    "compression": lambda: draw_compression(CURVE, 2000.0, "A title"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_its_title_and_the_same_bytes_twice(name, tmp_path):
    figure = FIGURES[name]()
    titles = [axes.get_title() for axes in figure.axes] + [figure.get_suptitle()]
    assert "A title" in titles
    save_figure(figure, tmp_path / "a.png")
    save_figure(FIGURES[name](), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    "name", ["manifold", "latent_space", "learning_curves", "class_losses", "anomalies", "codes", "compression"]
)
def test_axes_are_named(name):
    for axes in FIGURES[name]().axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()


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


def test_an_original_stands_above_its_reconstruction():
    figure = draw_reconstructions(np.zeros((4, 2, 2, 1)), np.ones((4, 2, 2, 1)), 2, "t")
    values = [float(axes.images[0].get_array().max()) for axes in figure.axes]
    assert values == [0, 0, 1, 1, 0, 0, 1, 1]


def test_a_bar_stands_for_its_own_kind_and_score():
    bars = draw_anomalies(SEPARATION, "t").axes[0].containers
    heights = [[bar.get_height() for bar in group] for group in bars if hasattr(group, "patches")]
    assert heights == [[0.9, 0.7], [0.4, 0.6]]


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


def test_codes_stand_by_their_use_and_the_perplexity_is_noted():
    axes = draw_codes(np.array([3, 0, 6]), 1.9, "t").axes[0]
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], [2 / 3, 1 / 3, 0])
    assert "67% of 3 codes used, perplexity 1.9" in [text.get_text() for text in axes.get_legend().get_texts()]
