import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from vaeline.evaluation.comparison import Evaluation, compare
from vaeline.figures.canvas import save_figure
from vaeline.figures.comparison import draw_comparison

COUNT = 400
LABELS = np.arange(COUNT) % 4
HARDNESS = np.random.default_rng(0).normal(100, 10, COUNT)
NOISE = np.random.default_rng(1).normal(0, 1, COUNT)


@pytest.fixture(scope="module")
def result():
    values = {"base": HARDNESS, "first": HARDNESS - 1 + NOISE, "second": HARDNESS + 9 * (LABELS == 2) + NOISE}
    runs = [
        Evaluation(
            name, "mnist", {}, {}, pd.DataFrame({"image": np.arange(COUNT), "label": LABELS, "neg_elbo": column})
        )
        for name, column in values.items()
    ]
    return compare(runs, "neg_elbo")


def draw(result):
    overall = result.overall.set_index("run")
    return draw_comparison(result.differences, overall, result.by_class, "nats", "A title")


def test_it_has_a_title_named_axes_and_the_same_bytes_twice(result, tmp_path):
    figure = draw(result)
    assert figure.get_suptitle() == "A title"
    assert all("nats" in axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
    save_figure(figure, tmp_path / "a.png")
    save_figure(draw(result), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_legend_gives_every_run_its_mean_and_interval(result):
    (legend,) = draw(result).legends
    texts = [text.get_text() for text in legend.get_texts()]
    row = result.overall.set_index("run").loc["first"]
    assert texts[0] == f"first: mean {row.difference:+.4g}, 95 % interval {row.low:+.4g} to {row.high:+.4g}"
    assert texts[1].startswith("second: mean ")


def test_classes_stand_from_the_top_and_are_hollow_where_no_difference_is_shown(result):
    axes = draw(result).axes[1]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0", "1", "2", "3"]
    assert axes.yaxis_inverted()
    second = axes.collections[-1]
    filled = [to_rgb(color) != (1, 1, 1) for color in second.get_facecolors()]
    assert filled == [False, False, True, False]
    assert second.get_offsets()[2, 0] == pytest.approx(9, abs=0.5)
