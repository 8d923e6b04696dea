import numpy as np

from vaeline.applications.attributes import slant
from vaeline.applications.editing import edit
from vaeline.applications.reference import read_reference
from vaeline.data.prepared import scale
from vaeline.evaluation.likelihood import decode, encode
from vaeline.models.archive import load_model


def test_an_edit_is_a_step_in_the_direction():
    z = np.array([[1.0, 2.0], [0.0, 0.0]])
    edited = edit(z, np.array([1.0, -1.0]), np.array([-2, 0, 0.5]))
    assert edited.shape == (2, 3, 2)
    np.testing.assert_allclose(edited[0], [[-1, 4], [1, 2], [1.5, 1.5]])
    np.testing.assert_array_equal(edited[:, 1], z)


def test_moving_along_the_slant_makes_decoded_images_lean_further(desk, digits):
    model, reference = load_model(desk / "models/vae.keras"), read_reference(desk / "reports/latent_reference.json")
    z_mean, _ = encode(model, scale(digits.images[:200]))
    images = decode(model, edit(z_mean, reference.attributes["slant"], np.array([-2, -1, 0, 1, 2])))
    leaning = [slant(images[:, amount]).mean() for amount in range(5)]
    assert np.all(np.diff(leaning) > 0.02), leaning
