import numpy as np
import pytest
from scipy.ndimage import affine_transform, grey_dilation

from vaeline.data.sources import MNIST_IMAGE
from vaeline.evaluation.inference import decode, encode
from vaeline.images.arrays import to_unit
from vaeline.latents.attributes import edit, slant, thickness
from vaeline.latents.reference import read_reference
from vaeline.models.archive import load_model


def bar(width: int) -> np.ndarray:
    image = np.zeros((1, *MNIST_IMAGE.shape), "float32")
    image[0, 4:24, 14 - width // 2 : 14 - width // 2 + width] = 1
    return image


def test_slant_is_columns_for_each_row_upwards():
    sheared = affine_transform(bar(3)[0, ..., 0], [[1, 0], [0.3, 1]], offset=[0, -0.3 * 13.5], order=1)[None, ..., None]
    assert slant(bar(3))[0] == pytest.approx(0, abs=1e-6)
    assert slant(sheared)[0] == pytest.approx(0.3, abs=0.01)
    assert slant(sheared[:, :, ::-1])[0] == pytest.approx(-0.3, abs=0.01)


def test_thickness_is_the_width_of_strokes():
    assert thickness(bar(1))[0] == pytest.approx(1)
    assert 2.5 < thickness(bar(3))[0] < 4


def test_thicker_digits_are_thicker(greys):
    thicker = np.stack([grey_dilation(image, (3, 3, 1)) for image in greys])
    assert (thickness(thicker) > thickness(greys)).all()


def test_a_blank_image_has_no_slant_and_no_thickness():
    blank = np.zeros((1, *MNIST_IMAGE.shape), "float32")
    assert (slant(blank)[0], thickness(blank)[0]) == (0, 0)


def test_an_edit_is_a_step_in_the_direction():
    z = np.array([[1.0, 2.0], [0.0, 0.0]])
    edited = edit(z, np.array([1.0, -1.0]), np.array([-2, 0, 0.5]))
    assert edited.shape == (2, 3, 2)
    np.testing.assert_allclose(edited[0], [[-1, 4], [1, 2], [1.5, 1.5]])
    np.testing.assert_array_equal(edited[:, 1], z)


def test_moving_along_the_slant_makes_decoded_images_lean_further(desk, digits):
    model, reference = load_model(desk / "models/vae.keras"), read_reference(desk / "reports/latent_reference.json")
    z_mean, _ = encode(model, to_unit(digits.images[:200]))
    images = decode(model, edit(z_mean, reference.attributes["slant"], np.array([-2, -1, 0, 1, 2])))
    leaning = [slant(images[:, amount]).mean() for amount in range(5)]
    assert np.all(np.diff(leaning) > 0.02), leaning
