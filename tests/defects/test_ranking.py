import numpy as np

from vaeline.defects.examine import Examined, find_regions
from vaeline.defects.ranking import Judge, Picture, rank

PLANE = np.zeros((12, 12), "float32")


def picture(name, score, heat_map=PLANE, dtype="float32"):
    pixels = np.ones((12, 12, 1), dtype)
    return Picture(name, pixels, Examined({"mse": score, "heat_map": 1.0}, pixels.astype("float32"), heat_map))


def test_regions_are_rectangles_of_pixels_that_touch_the_most_surprising_first():
    heat = PLANE.copy()
    heat[1, 2:4] = heat[2, 4] = 5
    heat[8:10, 7] = 9
    heat[5, 11] = 2
    found = [(item.x, item.y, item.width, item.height, item.surprise) for item in find_regions(heat, 3.0)]
    assert found == [(7, 8, 1, 2, 9.0), (2, 1, 3, 2, 5.0)]
    assert find_regions(PLANE, 3.0) == []


def test_the_highest_scores_lead_equal_ones_keep_their_order_and_the_sheet_has_the_worst():
    scores = {"a": 1.0, "b": 3.0, "c": 2.0, "d": 3.0, "e": 0.5}
    ranking = rank((picture(*item) for item in scores.items()), Judge("mse", 1.5, 4.0), 3)
    assert [told["image"] for told in ranking.pictures] == ["b", "d", "c", "a", "e"]
    assert [item.name for item in ranking.shown] == ["b", "d", "c"]
    assert [told["anomalous"] for told in ranking.pictures] == [True, True, True, False, False]
    assert ranking.anomalous == 3


def test_without_a_threshold_there_is_no_verdict_and_without_a_map_no_region():
    (told,) = rank([picture("a", 1.0, None)], Judge("mse", None, None), 1).pictures
    assert told == {"image": "a", "scores": {"mse": 1.0, "heat_map": 1.0}}


def test_a_picture_of_bytes_is_shown_in_units():
    (shown,) = rank([picture("a", 1.0, dtype="uint8")], Judge("mse", None, 4.0), 1).shown
    np.testing.assert_allclose(shown.picture, 1 / 255)
