import pandas as pd
import pytest
from figure_checks import check_axes, check_title_and_bytes

from vaeline.figures.learning_curves import draw_learning_curves

HISTORY = pd.DataFrame({"epoch": [1, 2], "learning_rate": [0.1, 0.0]}).assign(
    **{f"{split}{name}": [2.0, 1.0] for split in ("", "val_") for name in ("neg_elbo", "reconstruction", "kl")}
)
FIGURES = {
    "learning_curves": lambda: draw_learning_curves(HISTORY, "A title"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_its_title_and_the_same_bytes_twice(name, tmp_path):
    check_title_and_bytes(FIGURES[name], tmp_path)


@pytest.mark.parametrize("name", FIGURES)
def test_axes_are_named(name):
    check_axes(FIGURES[name]())
