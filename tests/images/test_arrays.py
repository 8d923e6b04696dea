import hashlib
import io

import numpy as np
import pytest

from vaeline.errors import VaelineError
from vaeline.images.arrays import binarize, drawable, luminance, round_levels, tile, to_uint8, to_unit
from vaeline.images.digests import image_digest, npy_digest, set_digest
from vaeline.images.fitting import fit_bytes, fit_images, inverted
from vaeline.images.spec import ImageSpec
from vaeline.images.stacks import as_stack, as_stack_or_one

RNG = np.random.default_rng(0)
GREYS = RNG.integers(0, 256, (6, 8, 10, 1), dtype="uint8")
COLOURS = RNG.integers(0, 256, (6, 8, 10, 3), dtype="uint8")


def test_pixels_go_to_one_and_back():
    np.testing.assert_array_equal(to_unit(np.array([0, 255], "uint8")), np.array([0, 1], "float32"))
    levels = np.arange(256, dtype="uint8")
    np.testing.assert_array_equal(to_uint8(to_unit(levels)), levels)
    np.testing.assert_array_equal(round_levels(np.array([-3.0, 0.5, 1.5, 254.6, 300.0])), [0, 0, 2, 255, 255])


def test_a_tile_has_its_first_row_on_top():
    picture = tile(GREYS.reshape(2, 3, 8, 10, 1))
    assert picture.shape == (16, 30, 1)
    np.testing.assert_array_equal(picture[:8, 10:20], GREYS[1])
    np.testing.assert_array_equal(picture[8:, :10], GREYS[3])


def test_only_grey_images_lose_their_channel_to_be_drawn():
    assert drawable(GREYS[0]).shape == (8, 10)
    assert drawable(COLOURS[0]).shape == (8, 10, 3)


def test_a_pixel_is_one_as_often_as_it_is_bright():
    greys = np.full((1000, 4, 4, 1), 0.3, "float32")
    binary = binarize(greys, RNG.random(greys.shape))
    assert binary.dtype == np.float32
    assert set(np.unique(binary)) == {0, 1}
    assert binary.mean() == pytest.approx(0.3, abs=0.02)


def test_the_luminance_of_grey_is_itself_and_of_colour_a_weighted_mean():
    np.testing.assert_array_equal(luminance(GREYS), GREYS[..., 0])
    np.testing.assert_allclose(luminance(np.repeat(GREYS, 3, axis=3)), GREYS[..., 0])
    assert luminance(np.array([[[[0, 255, 0]]]], "uint8")) == pytest.approx(0.587 * 255)


def test_digests_of_grey_images_are_those_from_before_images_had_channels():
    assert image_digest(GREYS[0]) == hashlib.sha256(GREYS[0, ..., 0].tobytes()).digest()
    assert set_digest(GREYS) == set_digest(GREYS[::-1]) != set_digest(GREYS[1:])
    for images, written in ((GREYS, GREYS[..., 0]), (COLOURS, COLOURS)):
        stream = io.BytesIO()
        np.save(stream, written)
        assert npy_digest(images) == hashlib.sha256(stream.getvalue()).hexdigest()


def test_a_stack_is_made_of_what_files_hold():
    assert as_stack(GREYS[..., 0]).shape == GREYS.shape
    assert as_stack(COLOURS).shape == COLOURS.shape
    assert as_stack_or_one(GREYS[0, ..., 0]).shape == (1, 8, 10, 1)
    assert as_stack_or_one(COLOURS[0]).shape == (1, 8, 10, 3)
    assert as_stack_or_one(GREYS[..., 0]).shape == GREYS.shape
    for shape in ((6, 80), (6, 8, 10, 4), (0, 8, 10)):
        with pytest.raises(VaelineError, match="images have shape"):
            as_stack(np.zeros(shape))


def test_images_of_another_size_or_colour_are_fitted():
    small = ImageSpec(height=4, width=5, channels=1)
    assert fit_images(COLOURS, small).shape == (6, 4, 5, 1)
    assert fit_images(GREYS, ImageSpec(height=8, width=10, channels=3)).shape == (6, 8, 10, 3)
    own = ImageSpec.of_shape(COLOURS.shape)
    assert fit_images(COLOURS, own) is COLOURS
    floats = fit_images(to_unit(COLOURS).astype("float64"), own)
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(to_uint8(fit_images(to_unit(COLOURS), small)), fit_images(COLOURS, small))


def test_ink_on_paper_is_turned_round():
    np.testing.assert_array_equal(inverted(GREYS), 255 - GREYS)
    np.testing.assert_allclose(inverted(to_unit(GREYS)), to_unit(255 - GREYS), atol=1e-7)


def test_floats_are_not_kept_on_disk():
    with pytest.raises(VaelineError, match=r"float64 values from 0\.0 to 1\.0; save uint8"):
        fit_bytes(np.eye(28)[None, ..., None], ImageSpec(height=28, width=28, channels=1))
