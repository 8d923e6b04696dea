import numpy as np
import pytest
from figure_checks import check_title_and_bytes

from vaeline.data.sources import MNIST_IMAGE
from vaeline.samples.figure import draw_samples

IMAGES = np.random.default_rng(0).random((12, *MNIST_IMAGE.shape))
FIGURES = {
    "samples": lambda: draw_samples(IMAGES, 4, "A title"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_its_title_and_the_same_bytes_twice(name, tmp_path):
    check_title_and_bytes(FIGURES[name], tmp_path)
