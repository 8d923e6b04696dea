from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.stats import norm

from vaeline.compression.coder import code_bits, dequantize, pack, png_bits, quantize, unpack
from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError

LATENTS = np.random.default_rng(0).normal(size=(2000, 5))


@pytest.mark.parametrize("step", [2.0, 0.1, 0.01])
def test_codes_come_back_and_err_by_half_a_step_at_most(step):
    codes = quantize(LATENTS, step)
    np.testing.assert_array_equal(unpack(pack(codes, step), *codes.shape, step), codes)
    assert np.abs(dequantize(codes, step) - LATENTS).max() <= step / 2 + 1e-6


def test_bits_are_those_of_the_prior_and_the_file_is_as_long():
    codes = quantize(LATENTS, 0.1)
    cells = norm.cdf((codes + 0.5) * 0.1) - norm.cdf((codes - 0.5) * 0.1)
    np.testing.assert_allclose(code_bits(codes, 0.1), -np.log2(cells).sum(axis=1), rtol=1e-9)
    assert 8 * len(pack(codes, 0.1)) == pytest.approx(code_bits(codes, 0.1).sum(), rel=0.002)


def test_halving_the_step_costs_a_bit_a_latent():
    costs = [code_bits(quantize(LATENTS, step), step).mean() for step in (0.1, 0.05)]
    assert costs[1] - costs[0] == pytest.approx(5, abs=0.02)


def test_far_latents_cost_much_but_finitely():
    codes = quantize(np.array([[12.0, -40.0]]), 0.1)
    assert codes.tolist() == [[120, -160]]
    assert 200 < code_bits(codes, 0.1)[0] < 400
    np.testing.assert_array_equal(unpack(pack(codes, 0.1), 1, 2, 0.1), codes)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + data])
def test_a_code_of_another_length_is_refused(change):
    data = pack(quantize(LATENTS, 0.1), 0.1)
    with pytest.raises(VaelineError, match=r"cut off|holds more than 2000 images"):
        unpack(change(data), *LATENTS.shape, 0.1)


def test_png_bits_are_those_of_a_file_that_opens(digits):
    bits = png_bits(digits.images[:5])
    stream = BytesIO()
    Image.fromarray(digits.images[3, ..., 0]).save(stream, "png", optimize=True)
    assert bits[3] == 8 * len(stream.getvalue())
    noise = np.random.default_rng(0).integers(0, 256, (1, *MNIST_IMAGE.shape)).astype("uint8")
    assert png_bits(noise)[0] > 8 * MNIST_IMAGE.dimensions > bits.max()
