import pandas as pd
import pytest
from figure_checks import check_axes, check_title_and_bytes

from vaeline.anomaly.figure import draw_anomalies

SEPARATION = pd.DataFrame(
    {"kind": ["x", "x", "y", "y"], "score": ["a", "b"] * 2, "auroc": [0.9, 0.4, 0.7, 0.6], "auroc_se": 0.01}
)
FIGURES = {
    "anomalies": lambda: draw_anomalies(SEPARATION, "A title"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_its_title_and_the_same_bytes_twice(name, tmp_path):
    check_title_and_bytes(FIGURES[name], tmp_path)


@pytest.mark.parametrize("name", FIGURES)
def test_axes_are_named(name):
    check_axes(FIGURES[name]())


def test_a_bar_stands_for_its_own_kind_and_score():
    bars = draw_anomalies(SEPARATION, "t").axes[0].containers
    heights = [[bar.get_height() for bar in group] for group in bars if hasattr(group, "patches")]
    assert heights == [[0.9, 0.7], [0.4, 0.6]]
