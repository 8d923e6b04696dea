"""Networks give the shapes of their images, whatever the size."""

import keras
import numpy as np
import pytest
from models.kinds.test_kinds import settings

from vaeline.errors import VaelineError
from vaeline.images.spec import ImageSpec
from vaeline.models.networks import build_decoder, build_encoder, build_grid_decoder, build_grid_encoder, grid_shape

SIZES = [(8, 8, 1), (28, 28, 1), (33, 47, 3), (64, 64, 3), (100, 100, 3), (9, 256, 1)]
SPECS = [ImageSpec(height=height, width=width, channels=channels) for height, width, channels in SIZES]


@pytest.mark.parametrize("image", SPECS, ids=str)
@pytest.mark.parametrize("architecture", ["conv", "mlp", "resconv", "resmlp"])
def test_encoder_and_decoder_fit_the_image(params, architecture, image):
    model = settings(params, {"architecture": architecture, "width": 4, "depth": 1})
    images = keras.KerasTensor((2, *image.shape))
    heads = build_encoder(model, image, {"z_mean": 3, "z_log_var": 2}).compute_output_spec(images)
    assert [head.shape for head in heads] == [(2, 3), (2, 2)]
    logits = build_decoder(model, image, 3, 2 * image.channels).compute_output_spec(keras.KerasTensor((2, 3)))
    assert logits.shape == (2, image.height, image.width, 2 * image.channels)


@pytest.mark.parametrize("architecture", ["conv", "mlp", "resconv", "resmlp"])
def test_no_layer_before_the_latents_has_fewer_numbers_than_they(params, architecture):
    model = settings(params, {"architecture": architecture, "latent_dim": 24, "width": 24, "depth": 1})
    image = ImageSpec(height=8, width=8, channels=1)
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).standard_normal((60, *image.shape)).astype("float32")
    latents, _ = build_encoder(model, image, {"z_mean": 24, "z_log_var": 24})(images)
    assert np.linalg.matrix_rank(np.asarray(latents), tol=1e-4) == 24


@pytest.mark.parametrize("image", SPECS, ids=str)
@pytest.mark.parametrize("architecture", ["conv", "resconv"])
def test_a_grid_has_four_to_eight_places_on_its_longer_side(params, architecture, image):
    model = settings(params, {"architecture": architecture, "width": 4, "depth": 1})
    assert 4 <= max(grid_shape(image)) <= 8
    for longest in (8, 16):
        read = build_grid_encoder(model, image, 5, longest)
        grid = read.compute_output_spec(keras.KerasTensor((2, *image.shape)))
        assert grid.shape == (2, *grid_shape(image, longest), 5)
        draw = build_grid_decoder(model, image, 5, image.channels, longest)
        assert draw.compute_output_spec(keras.KerasTensor(grid.shape)).shape == (2, *image.shape)


@pytest.mark.parametrize(("side", "grid"), [(4, (4, 4)), (8, (8, 8)), (16, (16, 16)), (64, (32, 32))])
def test_the_longest_side_of_a_grid_can_be_chosen(side, grid):
    assert grid_shape(ImageSpec(height=64, width=64, channels=3), side) == grid


def test_mnist_keeps_its_seven_by_seven():
    assert grid_shape(ImageSpec(height=28, width=28, channels=1)) == (7, 7)


@pytest.mark.parametrize("architecture", ["mlp", "resmlp"])
def test_a_dense_network_with_too_many_weights_is_refused(params, architecture):
    model = settings(params, {"architecture": architecture, "width": 512})
    with pytest.raises(VaelineError, match=r"a layer of 100,663,296 weights, .*choose conv or resconv"):
        build_encoder(model, ImageSpec(height=256, width=256, channels=3), {"z_mean": 2})


def test_every_pixel_of_an_odd_image_reaches_the_code(params):
    image = ImageSpec(height=33, width=47, channels=1)
    keras.utils.set_random_seed(0)
    encoder = build_encoder(settings(params, {"architecture": "conv"}), image, {"z_mean": 3})
    blank = np.zeros((1, *image.shape), "float32")
    for row, column in ((0, 0), (32, 46), (0, 46), (32, 0)):
        lit = blank.copy()
        lit[0, row, column] = 1
        assert np.abs(np.asarray(encoder(lit)) - np.asarray(encoder(blank))).max() > 0
