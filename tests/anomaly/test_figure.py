import pandas as pd
from figure_checks import check_figure

from vaeline.anomaly.figure import draw_anomalies

SEPARATION = pd.DataFrame(
    {"kind": ["x", "x", "y", "y"], "score": ["a", "b"] * 2, "auroc": [0.9, 0.4, 0.7, 0.6], "auroc_se": 0.01}
)


def test_the_figure_has_its_title_named_axes_and_the_same_bytes_twice(tmp_path):
    check_figure(lambda: draw_anomalies(SEPARATION, "A title"), tmp_path)


def test_a_bar_stands_for_its_own_kind_and_score():
    bars = draw_anomalies(SEPARATION, "t").axes[0].containers
    heights = [[bar.get_height() for bar in group] for group in bars if hasattr(group, "patches")]
    assert heights == [[0.9, 0.7], [0.4, 0.6]]
