import numpy as np
from figure_checks import check_figure

from vaeline.codes.figure import draw_codes


def test_the_figure_has_its_title_named_axes_and_the_same_bytes_twice(tmp_path):
    check_figure(lambda: draw_codes(np.array([3, 0, 6]), 1.9, "A title"), tmp_path)


def test_codes_stand_by_their_use_and_the_perplexity_is_noted():
    axes = draw_codes(np.array([3, 0, 6]), 1.9, "t").axes[0]
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], [2 / 3, 1 / 3, 0])
    assert "67% of 3 codes used, perplexity 1.9" in [text.get_text() for text in axes.get_legend().get_texts()]
