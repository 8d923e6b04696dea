from io import BytesIO

import numpy as np
from PIL import Image

from vaeline.evaluation.compression import png_bits


def test_png_bits_are_those_of_a_file_that_opens(digits):
    bits = png_bits(digits.images[:5])
    stream = BytesIO()
    Image.fromarray(digits.images[3]).save(stream, "png", optimize=True)
    assert bits[3] == 8 * len(stream.getvalue())
    noise = np.random.default_rng(0).integers(0, 256, (1, 28, 28)).astype("uint8")
    assert png_bits(noise)[0] > 8 * 28 * 28 > bits.max()
