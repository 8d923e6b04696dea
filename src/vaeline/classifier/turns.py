"""A task without labels: to tell how an image was turned (Gidaris et al. 2018, arXiv:1803.07728)."""

import numpy as np

from vaeline.images.types import AnyImages, Labels

TURNS = 4


def turn(images: AnyImages, turns: Labels) -> AnyImages:
    """Images (count, height, width, channels), each changed by its number of 0 to 3 in `turns` (count,).

    Square images are turned by as many quarters. Others keep their size: 1 mirrors them, 2 turns them upside down, 3
    does both.
    """
    found = images.copy()
    for number in range(1, TURNS):
        chosen = turns == number
        found[chosen] = _turned(images[chosen], number)
    return found


def _turned(images: AnyImages, number: int) -> AnyImages:
    height, width = images.shape[1:3]
    if height == width:
        return np.rot90(images, number, axes=(1, 2))
    down, right = (slice(None, None, -1 if number & bit else 1) for bit in (2, 1))
    return images[:, down, right]
