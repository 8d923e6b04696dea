import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import mean_squared_error

from vaeline.compression.jpeg import QUALITIES, JpegCurve, is_comparable, jpeg_curve
from vaeline.images.arrays import to_uint8
from vaeline.images.spec import ImageSpec


@pytest.mark.parametrize("channels", [1, 3])
def test_more_bits_mean_a_smaller_error(channels):
    smooth = gaussian_filter(np.random.default_rng(0).random((4, 40, 50, channels)), (0, 2, 2, 0))
    images = to_uint8(smooth / smooth.max())
    curve = jpeg_curve(images)
    assert len(curve.bits) == len(QUALITIES)
    assert (np.diff(curve.bits) > 0).all()
    assert (np.diff(curve.mse) < 0).all()
    grey = np.broadcast_to(images.mean(axis=(1, 2), keepdims=True).astype("uint8"), images.shape)
    assert curve.mse[-1] < 1e-3 < mean_squared_error(images / 255, grey / 255)


def test_header_and_tables_do_not_count():
    assert jpeg_curve(np.full((1, 32, 32, 1), 128, "uint8")).bits[0] < 8 * 40


def test_bits_are_found_between_two_qualities_and_are_never_below_the_lowest():
    curve = JpegCurve(np.array([100.0, 400.0]), np.array([0.03, 0.01]))
    assert curve.bits_at(0.03) == pytest.approx(100)
    assert curve.bits_at(0.02) == pytest.approx(200)
    assert curve.bits_at(0.5) == pytest.approx(100)


def test_small_images_are_not_compared():
    assert is_comparable(ImageSpec(height=32, width=40, channels=3))
    assert not is_comparable(ImageSpec(height=28, width=40, channels=1))
