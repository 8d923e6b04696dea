import numpy as np
import pytest
from figure_checks import check_title_and_bytes

from vaeline.defects.figure import Inspected, defect_figures, draw_inspected, overlay, shrink
from vaeline.defects.measure import measure_defects
from vaeline.defects.reference import write_heat_map_reference_of
from vaeline.evaluation.summary import scores_table
from vaeline.figures.drawing import Drawing


def inspected(height, width, is_anomalous=None, mask=None):
    rng = np.random.default_rng(height)
    picture, heat = rng.random((height, width, 1)), rng.random((height, width), dtype="float32")
    return Inspected("a.png", picture, picture, heat, 3.14159, is_anomalous, mask)


def test_the_sheet_has_its_title_and_the_same_bytes_twice_whatever_the_sizes(tmp_path):
    shown = [inspected(30, 40, True), inspected(12, 9, False), inspected(700, 300), inspected(8, 8)]
    check_title_and_bytes(lambda: draw_inspected(shown, "A title", 5.0, False), tmp_path)


def test_the_sheet_says_score_verdict_and_name_and_shows_a_mask_where_there_is_one():
    mask = np.zeros((8, 8), bool)
    figure = draw_inspected([inspected(8, 8, True, mask), inspected(8, 8, False)], "t", 1.0, False)
    axes, bar = figure.axes
    assert [text.get_text() for text in axes.texts] == ["3.14, anomalous\na.png", "3.14, normal\na.png"]
    assert len(axes.images) == 4 + 3
    assert "standard deviations" in bar.get_ylabel()


def test_the_hotter_a_pixel_the_less_of_the_picture_is_seen():
    picture, heat = np.full((1, 3, 1), 0.5), np.array([[-1.0, 0.5, 9.0]], "float32")
    shown = overlay(picture, heat, 1.0, False)
    np.testing.assert_allclose(shown[0, 0], 0.5)
    assert abs(shown[0, 2] - 0.5).max() > abs(shown[0, 1] - 0.5).max()
    np.testing.assert_allclose(overlay(picture * 0.2, heat, 1.0, True)[0, 0], 0.9)


@pytest.mark.parametrize(("highest", "value"), [(True, 1.0), (False, 1 / 9)])
def test_a_single_hot_pixel_stays_visible_in_a_smaller_map(highest, value):
    heat = np.zeros((7, 11), "float32")
    heat[4, 4] = 1
    small = shrink(heat, 3, highest)
    assert small.shape == (3, 4)
    assert small[1, 1] == pytest.approx(value)


@pytest.fixture(scope="module")
def reports(tile_subject, params, tmp_path_factory):
    """The tables that `evaluate` writes for the tiles."""
    folder = tmp_path_factory.mktemp("reports")
    measured = measure_defects(tile_subject, params.evaluate, {})
    measured.csv_table().to_csv(folder / "defects.csv", index=False)
    scores_table(tile_subject, {"defects": measured}).to_parquet(folder / "scores.parquet")
    path = folder / "heat_map_reference.json"
    write_heat_map_reference_of(tile_subject, {}, "a" * 64, params.evaluate, path)
    return folder


def test_a_run_has_a_chart_of_the_kinds_and_a_sheet_of_test_images(tile_subject, params, reports):
    drawing = Drawing(tile_subject.model, tile_subject.prepared, params.plot, 0.5, 2, reports)
    figures = defect_figures(drawing)
    assert set(figures) == {"defects", "heat_maps"}
    texts = [text.get_text() for text in figures["heat_maps"].axes[0].texts]
    scores = [float(text.split("\n")[0].split(",")[0]) for text in texts]
    assert scores == sorted(scores, reverse=True)
    assert len(texts) == 24
    for kind in ("good", "scratch", "spot"):
        assert sum(f"\n{kind}, row" in text for text in texts) == 8
    assert {tick.get_text() for tick in figures["defects"].axes[0].get_xticklabels()} == {"scratch", "spot", "all"}


def test_data_without_defects_has_no_such_figures(tile_subject, prepared, params, tmp_path):
    assert defect_figures(Drawing(tile_subject.model, prepared, params.plot, 0.5, 2, tmp_path)) == {}
