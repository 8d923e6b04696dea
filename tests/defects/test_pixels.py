import numpy as np
import pytest
from scipy.ndimage import label
from sklearn.metrics import roc_auc_score

from vaeline.defects.pixels import PixelCounts, aupro, bins_of, count_pixels, pixel_auroc


@pytest.fixture(scope="module")
def maps():
    """Ten maps of noise, higher in two rectangles, and the masks of these rectangles; the last five have none."""
    rng = np.random.default_rng(0)
    masks = np.zeros((10, 24, 20), bool)
    masks[:5, 3:9, 4:8] = masks[:5, 15:17, 10:19] = True
    return (rng.standard_normal(masks.shape) + 0.8 * masks).astype("float32"), masks


def overlap_curve(maps, masks, thresholds):
    """The false-positive rate and the mean overlap of regions above each threshold, by their definitions."""
    regions = []
    for values, mask in zip(maps, masks, strict=True):
        numbers, count = label(mask, np.ones((3, 3)))
        regions += [values[numbers == number] for number in range(1, count + 1)]
    rates = [(maps[~masks] > threshold).mean() for threshold in thresholds]
    return np.array(rates), np.array(
        [np.mean([(region > threshold).mean() for region in regions]) for threshold in thresholds]
    )


def test_bins_keep_the_order_of_values_on_both_sides_of_zero():
    values = np.array([-1e3, -2.5, -1e-3, 0.0, 1e-3, 2.5, 1e3], "float32")
    assert (np.diff(bins_of(values)) > 0).all()


def test_the_pixel_auroc_is_that_of_scikit_learn(maps):
    values, masks = maps
    expected = roc_auc_score(masks.ravel(), values.ravel())
    assert pixel_auroc(count_pixels(values, masks)) == pytest.approx(expected, abs=1e-4)


def test_aupro_is_the_area_under_the_curve_of_its_definition(maps):
    values, masks = maps
    rates, overlaps = overlap_curve(values, masks, np.sort(values.ravel())[::-1])
    below = rates <= 0.3
    expected = np.trapezoid(overlaps[below], rates[below]) / 0.3
    assert aupro(count_pixels(values, masks)) == pytest.approx(expected, abs=2e-3)


def test_a_small_region_counts_as_much_as_a_large_one():
    masks = np.zeros((1, 30, 30), bool)
    masks[0, :20, :20] = masks[0, 25, 25] = True
    found = np.where(masks, 1.0, 0.0).astype("float32")
    missed = found.copy()
    missed[0, 25, 25] = -1
    assert aupro(count_pixels(found, masks)) == pytest.approx(1)
    assert aupro(count_pixels(missed, masks)) == pytest.approx(0.5)
    assert pixel_auroc(count_pixels(missed, masks)) > 0.99


def test_pixels_that_touch_by_a_corner_are_one_region():
    masks = np.zeros((1, 8, 8), bool)
    masks[0, 1, 1] = masks[0, 2, 2] = masks[0, 6, 6] = True
    assert count_pixels(np.zeros((1, 8, 8), "float32"), masks).regions == 2


def test_counts_of_parts_add_up_to_those_of_the_whole(maps):
    values, masks = maps
    whole = count_pixels(values, masks)
    parts = PixelCounts.none() + count_pixels(values[:3], masks[:3]) + count_pixels(values[3:], masks[3:])
    assert parts.regions == whole.regions
    for name in ("sound", "defective", "overlap"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-12)
