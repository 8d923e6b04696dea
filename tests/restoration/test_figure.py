import numpy as np
import pytest
from figure_checks import check_title_and_bytes

from vaeline.data.sources import MNIST_IMAGE
from vaeline.restoration.figure import draw_restorations

IMAGES = np.random.default_rng(0).random((12, *MNIST_IMAGE.shape))
FIGURES = {
    "restorations": lambda: draw_restorations({"damaged": IMAGES[:4], "restored": IMAGES[4:8]}, "A title"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_its_title_and_the_same_bytes_twice(name, tmp_path):
    check_title_and_bytes(FIGURES[name], tmp_path)
