import numpy as np
import pytest

from vaeline.evaluation.inference import decode
from vaeline.restoration import restore
from vaeline.restoration.damage import add_noise, box_mask, cut_out
from vaeline.restoration.restore import denoise, inpaint, likeliest_latents


@pytest.fixture
def images(small_model):
    """Images that the model can express exactly."""
    z = np.random.default_rng(5).normal(size=(30, small_model.latent_dim)).astype("float32")
    return decode(small_model, z)


def error(clean, images):
    return float(((clean - images) ** 2).mean())


def test_noise_is_taken_off_what_the_model_can_express(small_model, images):
    noisy = add_noise(images, 0.25, 1)
    assert error(images, denoise(small_model, noisy)) < 0.1 * error(images, noisy)


def test_a_hole_is_filled_and_the_rest_is_left_alone(small_model, images):
    missing = box_mask(images, 10, 1)
    holed = cut_out(images, missing)
    filled = inpaint(small_model, holed, missing)
    np.testing.assert_array_equal(filled[~missing], images[~missing])
    assert error(images[missing], filled[missing]) < 0.1 * error(images[missing], holed[missing])


def test_what_is_missing_is_not_looked_at(small_model, images):
    missing = box_mask(images, 10, 1)
    black, white = (np.where(missing, np.float32(grey), images) for grey in (0, 1))
    filled = [inpaint(small_model, holed, missing) for holed in (black, white)]
    assert error(images, filled[1]) < 2 * error(images, filled[0]) + 1e-3


def test_one_mask_serves_all_images(small_model, images):
    missing = np.zeros((28, 28, 1), bool)
    missing[10:15] = True
    filled = inpaint(small_model, images, missing)
    np.testing.assert_array_equal(filled[:, :10], images[:, :10])


def test_the_search_leaves_the_model_as_it_was_and_batches_do_not_matter(small_model, images, monkeypatch):
    before = [weight.copy() for weight in small_model.get_weights()]
    known = np.ones((28, 28, 1), bool)
    whole = likeliest_latents(small_model, images, known)
    for old, new in zip(before, small_model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    monkeypatch.setattr(restore, "BATCH", 7)
    np.testing.assert_allclose(likeliest_latents(small_model, images, known), whole, atol=1e-3)
