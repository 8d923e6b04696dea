import pandas as pd
from figure_checks import check_figure

from vaeline.compression.figure import JPEG, draw_compression

CURVE = pd.DataFrame({"step": [1.0, 0.1], "code_bits": [4.0, 11.0], "code_mse": [0.05, 0.03]})


def test_the_figure_has_its_title_named_axes_and_the_same_bytes_twice(tmp_path):
    check_figure(lambda: draw_compression(CURVE, 2000.0, "A title"), tmp_path)


def test_the_figure_of_large_images_also_shows_jpeg():
    figure = draw_compression(CURVE.assign(jpeg_bits=[900.0, 1500.0]), 2000.0, "A title")
    assert JPEG in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert [list(line.get_xdata()) for line in figure.axes[0].lines][1] == [900.0, 1500.0]
