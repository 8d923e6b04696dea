"""Which image goes into which split."""

import numpy as np
from sklearn.model_selection import train_test_split

from vaeline.errors import VaelineError


def hold_out(labels: np.ndarray, one_in: int, seed: int, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Sorted indices of (the rest, the held out): one image in `one_in`, the classes in proportion.

    Raises:
        VaelineError: a class is too small to stand in both; `what` names the split.
    """
    held = round(len(labels) / one_in)
    try:
        rest, held_out = train_test_split(np.arange(len(labels)), test_size=held, random_state=seed, stratify=labels)
    except ValueError as error:
        raise VaelineError(f"prepare: no {what} split of {held} out of {len(labels)} images: {error}") from None
    return np.sort(rest), np.sort(held_out)
