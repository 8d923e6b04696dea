import numpy as np
import pytest

from vaeline.defects.pictures import PictureSet
from vaeline.defects.reference import (
    fit_heat_map_reference,
    read_heat_map_reference,
    upper_bound,
    write_heat_map_reference,
)
from vaeline.errors import VaelineError
from vaeline.scores import OOD_SCORES


@pytest.fixture(scope="module")
def fitted(tile_subject, tiles, params):
    return fit_heat_map_reference(tile_subject.model, "a" * 64, PictureSet(tiles.images[30:45]), {}, params.evaluate)


def test_a_share_of_good_images_is_above_the_bound_and_no_more():
    values = np.random.default_rng(0).permutation(99) + 1.0
    assert upper_bound(values, 0.1) == 90
    assert upper_bound(values, 0.01) == 99
    assert upper_bound(values, 0.001) == 99
    rng = np.random.default_rng(1)
    above = [rng.standard_normal() > upper_bound(rng.standard_normal(49), 0.1) for _ in range(4000)]
    assert np.mean(above) == pytest.approx(0.1, abs=0.015)


def test_a_model_has_the_scores_of_its_good_images(fitted, tile_subject):
    assert set(fitted.scores) == {"heat_map", "reconstruction", "neg_elbo", "kl"}
    assert set(fitted.scores) <= {"heat_map", *OOD_SCORES}
    assert fitted.threshold("heat_map", 0.5) == np.median(fitted.scores["heat_map"])


def test_a_reference_is_read_as_it_was_written(fitted, tmp_path):
    write_heat_map_reference(fitted, tmp_path / "reference.json")
    again = read_heat_map_reference(tmp_path / "reference.json")
    assert again.model_sha256 == fitted.model_sha256
    assert again.false_alarms == fitted.false_alarms == 0.01
    assert again.statistics.scales == fitted.statistics.scales
    for name in ("mean", "deviation"):
        np.testing.assert_allclose(getattr(again.statistics, name), getattr(fitted.statistics, name), atol=1e-9)
    for name, values in fitted.scores.items():
        np.testing.assert_allclose(again.scores[name], values, atol=1e-6)


def test_a_file_that_is_no_reference_is_refused(tmp_path):
    (tmp_path / "reference.json").write_text('{"model_sha256": "", "statistics": {}, "scores": {}}')
    with pytest.raises(VaelineError, match="not a reference of heat maps"):
        read_heat_map_reference(tmp_path / "reference.json")
    with pytest.raises(VaelineError, match="dvc repro evaluate"):
        read_heat_map_reference(tmp_path / "none.json")
