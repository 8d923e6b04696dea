import pytest

from vaeline.applications.masks import rectangle
from vaeline.errors import VaelineError


def test_x_runs_to_the_right_and_y_downwards():
    mask = rectangle((4, 6), 1, 2, 3, 2)
    assert mask.shape == (4, 6)
    assert mask[2:, 1:4].all()
    assert mask.sum() == 6


@pytest.mark.parametrize("box", [(-1, 0, 2, 2), (0, 0, 0, 2), (4, 0, 3, 1), (0, 3, 1, 2), (0, 0, 6, 4)])
def test_a_rectangle_lies_within_the_image_and_leaves_some_of_it(box):
    with pytest.raises(VaelineError, match="6 pixels wide and 4 high"):
        rectangle((4, 6), *box)
