import pandas as pd
import pytest
from figure_checks import check_axes, check_title_and_bytes

from vaeline.compression.figure import draw_compression

CURVE = pd.DataFrame({"step": [1.0, 0.1], "code_bits": [4.0, 11.0], "code_mse": [0.05, 0.03]})
FIGURES = {
    "compression": lambda: draw_compression(CURVE, 2000.0, "A title"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_its_title_and_the_same_bytes_twice(name, tmp_path):
    check_title_and_bytes(FIGURES[name], tmp_path)


@pytest.mark.parametrize("name", FIGURES)
def test_axes_are_named(name):
    check_axes(FIGURES[name]())
