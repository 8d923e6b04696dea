import numpy as np
import pytest
from matplotlib.colors import to_rgba

from vaeline.data.sources import MNIST_IMAGE
from vaeline.figures.canvas import save_figure
from vaeline.figures.images import draw_rows
from vaeline.figures.sheets import MISSING, draw_grid, draw_pairs, draw_sheet

IMAGES = np.random.default_rng(0).random((5, *MNIST_IMAGE.shape))
SHEETS = {
    "sheet": lambda: draw_sheet([IMAGES[:3], IMAGES[3:]], "A title", ["a", "b"], ["1", "2", "3"], [["x\ny"] * 3] * 2),
    "grid": lambda: draw_grid(IMAGES, 3, "A title"),
    "pairs": lambda: draw_pairs({"above": IMAGES, "below": IMAGES}, 3, "A title"),
}


def places(figure):
    """Left and top edge and the mean grey of each image."""
    found = [(image.get_extent(), float(image.get_array().mean())) for image in figure.axes[0].images]
    return [(left, top, grey) for (left, _, _, top), grey in found]


@pytest.mark.parametrize("name", SHEETS)
def test_a_sheet_has_its_title_and_the_same_bytes_twice(name, tmp_path):
    assert SHEETS[name]().get_suptitle() == "A title"
    for file in ("a.png", "b.png"):
        save_figure(SHEETS[name](), tmp_path / file)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_grid_runs_by_rows_and_keeps_a_shorter_last_one():
    drawn = places(draw_grid(IMAGES, 3, "t"))
    assert [grey for *_, grey in drawn] == pytest.approx(IMAGES.mean(axis=(1, 2, 3)))
    tops = [top for _, top, _ in drawn]
    assert tops[0] == tops[1] == tops[2] < tops[3] == tops[4]
    assert drawn[3][0] == drawn[0][0] < drawn[1][0]


def test_pairs_stand_below_each_other_under_their_names():
    figure = draw_pairs({"original": np.zeros((3, 2, 2, 1)), "restored": np.ones((3, 2, 2, 1))}, 2, "t")
    assert [grey for *_, grey in places(figure)] == [0, 0, 1, 1, 0, 1]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["original", "restored"] * 2


def test_every_image_lies_within_the_axes_and_rows_and_columns_are_named():
    figure = SHEETS["sheet"]()
    (axes,) = figure.axes
    bottom, top = axes.get_ylim()
    for image in axes.images:
        left, right, lower, upper = image.get_extent()
        assert axes.get_xlim()[0] < left < right < axes.get_xlim()[1]
        assert top < upper < lower < bottom
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3"]
    assert [text.get_text() for text in axes.texts] == ["x\ny"] * 5


def test_missing_pixels_have_a_colour_that_no_grey_has():
    image = np.zeros((2, 2, 1))
    image[0, 0] = np.nan
    (drawn,) = draw_sheet([image[None]], "t").axes[0].images
    assert tuple(drawn.cmap(np.ma.masked_invalid(drawn.get_array()))[0, 0]) == to_rgba(MISSING)


def test_colours_are_drawn_as_they_are_and_missing_pixels_have_a_colour_of_their_own():
    image = np.random.default_rng(0).random((3, 2, 3))
    image[0, 0] = np.nan
    (drawn,) = draw_sheet([image[None]], "t").axes[0].images
    shown = np.asarray(drawn.get_array())
    np.testing.assert_allclose(shown[0, 0], to_rgba(MISSING)[:3])
    np.testing.assert_allclose(shown[1:], image[1:])


@pytest.mark.parametrize(("ink", "corner"), [(True, (0, 0, 0)), (False, (1, 1, 1))])
def test_light_and_dark_are_exchanged_for_ink_alone(ink, corner):
    image = np.ones((1, 2, 2, 1))
    for figure in (
        draw_sheet([image], "t", ink=ink),
        draw_grid(image, 1, "t", ink),
        draw_rows(image[None], ["a"], "t", ink),
    ):
        (drawn,) = figure.axes[0].images
        assert tuple(drawn.cmap(drawn.norm(drawn.get_array()))[0, 0, :3]) == corner
