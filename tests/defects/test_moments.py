import numpy as np
import pytest

from vaeline.defects import moments as module
from vaeline.defects.heat_map import image_scores
from vaeline.defects.moments import cross_fitted_maps, fit_moments
from vaeline.errors import VaelineError
from vaeline.images.arrays import to_unit


def grey(images):
    return np.full_like(images, 0.5)


def folds_of(count):
    return np.arange(count) % 10


def test_moments_do_not_depend_on_the_parts_that_are_read(tiles, monkeypatch):
    whole = fit_moments(grey, tiles.images[:60], folds_of(len(tiles.images[:60])), (1.0, 2.0)).statistics()
    monkeypatch.setattr(module, "PART_NUMBERS", 7 * 16 * 20)
    parts = fit_moments(grey, tiles.images[:60], folds_of(len(tiles.images[:60])), (1.0, 2.0)).statistics()
    np.testing.assert_allclose(whole.mean, parts.mean, rtol=1e-9)
    np.testing.assert_allclose(whole.deviation, parts.deviation, rtol=1e-6)


def test_a_planted_defect_has_the_highest_values_of_its_image(tiles):
    statistics = fit_moments(grey, tiles.images[:60], folds_of(len(tiles.images[:60])), (1.0, 2.0)).statistics()
    images = to_unit(tiles.images)
    maps = statistics.heat_maps(images, grey(images))
    assert abs(np.median(maps[:60])) < 1
    for row in range(60, 80):
        assert tiles.masks[row].reshape(-1)[maps[row].argmax()] == 255


def test_the_statistics_without_a_fold_are_those_of_the_other_images(tiles):
    images = tiles.images[:20]
    moments = fit_moments(grey, images, folds_of(len(images)), (1.0,))
    others = fit_moments(grey, images[folds_of(20) != 3], folds_of(len(images[folds_of(20) != 3])), (1.0,)).statistics()
    np.testing.assert_allclose(moments.statistics(without=3).mean, others.mean, rtol=1e-9)
    some = to_unit(images)
    maps = cross_fitted_maps(moments, some, grey(some), folds_of(20))
    np.testing.assert_allclose(maps[3], others.heat_maps(some[3:4], grey(some[3:4]))[0], rtol=1e-3, atol=1e-4)


def test_cross_fitted_scores_of_good_images_are_as_high_as_those_of_new_ones():
    rng = np.random.default_rng(0)
    images = np.clip(128 + 20 * rng.standard_normal((520, 12, 12, 1)), 0, 255).astype("uint8")
    known, new = images[:20], to_unit(images[20:])
    moments = fit_moments(grey, known, folds_of(len(known)), (1.0,))
    own = to_unit(known)
    maps = {
        "own": moments.statistics().heat_maps(own, grey(own)),
        "crossed": cross_fitted_maps(moments, own, grey(own), folds_of(20)),
        "new": moments.statistics().heat_maps(new, grey(new)),
    }
    means = {name: image_scores(found, 2).mean() for name, found in maps.items()}
    assert means["own"] < means["new"] - 0.05
    assert means["crossed"] > means["new"] - 0.05


def test_a_single_image_is_too_few(tiles):
    with pytest.raises(VaelineError, match="at least 2 validation pictures, there is 1"):
        fit_moments(grey, tiles.images[:1], folds_of(len(tiles.images[:1])), (1.0,))
