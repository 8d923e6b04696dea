import numpy as np
import pytest
from scipy.ndimage import affine_transform, grey_dilation

from vaeline.applications.attributes import slant, thickness


def bar(width: int) -> np.ndarray:
    image = np.zeros((1, 28, 28), "float32")
    image[0, 4:24, 14 - width // 2 : 14 - width // 2 + width] = 1
    return image


def test_slant_is_columns_for_each_row_upwards():
    sheared = affine_transform(bar(3)[0], [[1, 0], [0.3, 1]], offset=[0, -0.3 * 13.5], order=1)[None]
    assert slant(bar(3))[0] == pytest.approx(0, abs=1e-6)
    assert slant(sheared)[0] == pytest.approx(0.3, abs=0.01)
    assert slant(sheared[:, :, ::-1])[0] == pytest.approx(-0.3, abs=0.01)


def test_thickness_is_the_width_of_strokes():
    assert thickness(bar(1))[0] == pytest.approx(1)
    assert 2.5 < thickness(bar(3))[0] < 4


def test_thicker_digits_are_thicker(greys):
    thicker = np.stack([grey_dilation(image, 3) for image in greys])
    assert (thickness(thicker) > thickness(greys)).all()


def test_a_blank_image_has_no_slant_and_no_thickness():
    blank = np.zeros((1, 28, 28), "float32")
    assert (slant(blank)[0], thickness(blank)[0]) == (0, 0)
