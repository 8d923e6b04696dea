import numpy as np
import pandas as pd
import pytest

from vaeline.gate.figures import draw_beside, draw_gains, draw_label_gains


def gains_figure(bound=(1.4, 1.2, 1.6), least=1.0, margin=0.5, verdict="pass"):
    gains = np.array([-1.0, 1.0, 2.0, 3.0])
    return draw_gains(gains, bound, least, margin, verdict, "nats", "title")


def test_the_gains_show_how_many_images_are_better_and_where_the_mean_stands():
    figure = gains_figure()
    scatter, decision = figure.axes
    assert scatter.get_title() == "each image: 75.0% of 4 images are better"
    assert decision.get_title() == "the mean +1.4, its bounds +1.2 and +1.6: pass"
    words = [text.get_text() for text in decision.get_legend().get_texts()]
    assert words == ["fail: both bounds below -0.5", "pass: both bounds above +1"]
    low, high = decision.get_xlim()
    assert low < -0.5 < 1.6 < high


@pytest.mark.parametrize("bound", [(-40.0, -41.0, -39.0), (40.0, 39.0, 41.0), (0.0, -1.0, 1.0)])
def test_the_interval_is_always_in_the_picture(bound):
    low, high = gains_figure(bound, verdict="fail").axes[1].get_xlim()
    assert low < min(bound[1], -0.5)
    assert max(bound[2], 1.0) < high


def test_each_class_has_a_bar_with_its_bounds_in_the_colour_of_its_verdict():
    table = pd.DataFrame(
        {
            "class": ["a", "b", "c"],
            "gain": [1.0, -3.0, -9.0],
            "low": [0.5, -4.0, -10.0],
            "high": [1.5, -2.0, -8.0],
            "verdict": ["pass", "inconclusive", "fail"],
        }
    )
    axes = draw_label_gains(table, 2.0, "nats", "title").axes[0]
    assert [bar.get_height() for bar in axes.patches] == [1.0, -3.0, -9.0]
    assert len({bar.get_facecolor() for bar in axes.patches}) == 3
    segments = next(item for item in axes.collections).get_segments()
    assert [segment[:, 1].tolist() for segment in segments] == [[0.5, 1.5], [-4.0, -2.0], [-10.0, -8.0]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    assert -2.0 in {line.get_ydata()[0] for line in axes.lines}


def test_pictures_stand_beside_each_other_with_the_first_row_lowest():
    images = np.zeros((2, 3, 4, 5, 1))
    images[0] = 1.0
    figure = draw_beside({"one": images, "two": 1 - images}, "title")
    assert [axes.get_title() for axes in figure.axes] == ["one", "two"]
    shown = figure.axes[0].images[0].get_array()
    assert shown.shape == (8, 15)
    assert shown[:4].max() == 0
    assert shown[4:].min() == 1
