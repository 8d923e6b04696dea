import numpy as np
import pytest

from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError
from vaeline.images.spec import ImageSpec
from vaeline.restoration.damage import add_noise, box_mask, cut_out, median_filtered, rectangle
from vaeline.restoration.measure import psnr, quality_table, ssim

WIDE = ImageSpec(height=4, width=6, channels=3)


def test_psnr_is_its_formula_and_ssim_is_one_for_equal_images(greys):
    noisy = add_noise(greys, 0.2, 1)
    expected = -10 * np.log10(((greys - noisy) ** 2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(psnr(greys, noisy), expected, rtol=1e-6)
    np.testing.assert_allclose(ssim(greys, greys), 1)
    assert (ssim(greys, noisy) < 0.9).all()


def test_noise_is_seeded_cut_off_and_as_strong_as_asked():
    grey = np.full((50, *MNIST_IMAGE.shape), 0.5, "float32")
    noisy = add_noise(grey, 0.1, 1)
    assert noisy.std() == pytest.approx(0.1, rel=0.02)
    assert add_noise(grey, 2.0, 1).min() == 0.0
    np.testing.assert_array_equal(noisy, add_noise(grey, 0.1, 1))


def test_the_hole_has_its_size_lies_inside_and_moves():
    images = np.zeros((200, *MNIST_IMAGE.shape), "float32")
    missing = box_mask(images, 10, 1)
    assert (missing.sum(axis=(1, 2, 3)) == 100).all()
    assert (missing.any(axis=(2, 3)).sum(axis=1) == 10).all()
    assert len({tuple(mask.any(axis=2)[0:1].ravel()) for mask in missing[:, None]}) > 1
    np.testing.assert_array_equal(cut_out(images, missing) == 0.5, missing)
    assert box_mask(np.zeros((2, 8, 8, 1), "float32"), 10, 1).all()


def test_the_median_is_taken_within_an_image_only():
    images = np.zeros((3, 5, 5, 1), "float32")
    images[1] = 1
    images[0, 2, 2] = 1
    filtered = median_filtered(images)
    assert filtered[0].max() == 0
    assert filtered[1].min() == 1


def test_the_table_has_means_and_errors_of_each_version(greys):
    versions = {("noise", "damaged"): add_noise(greys, 0.3, 1), ("noise", "same"): greys + 1e-3}
    table = quality_table(greys, versions.items())
    damaged, same = table.itertuples()
    assert (damaged.damage, damaged.method, same.method) == ("noise", "damaged", "same")
    assert damaged.psnr < same.psnr == pytest.approx(60, abs=0.1)
    assert damaged.psnr_se == pytest.approx(psnr(greys, add_noise(greys, 0.3, 1)).std(ddof=1) / np.sqrt(len(greys)))


def test_x_runs_to_the_right_and_y_downwards():
    mask = rectangle(WIDE, 1, 2, 3, 2)
    assert mask.shape == (4, 6, 1)
    assert mask[2:, 1:4].all()
    assert mask.sum() == 6


@pytest.mark.parametrize("box", [(-1, 0, 2, 2), (0, 0, 0, 2), (4, 0, 3, 1), (0, 3, 1, 2), (0, 0, 6, 4)])
def test_a_rectangle_lies_within_the_image_and_leaves_some_of_it(box):
    with pytest.raises(VaelineError, match="6 pixels wide and 4 high"):
        rectangle(WIDE, *box)
