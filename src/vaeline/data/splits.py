"""The split of each image."""

import numpy as np
from jaxtyping import Integer
from sklearn.model_selection import train_test_split

from vaeline.errors import VaelineError


def hold_out(
    labels: Integer[np.ndarray, " count"], one_in: int, seed: int, what: str
) -> tuple[Integer[np.ndarray, " kept"], Integer[np.ndarray, " held"]]:
    """Sorted indices of the kept and of the held-out images: one in `one_in`, with the class shares of all images.

    what: the name of the split of held-out images, for messages.

    Raises:
        VaelineError: a class has too few images for both.
    """
    return _hold_out(labels, round(len(labels) / one_in), seed, what)


def split_source(
    labels: Integer[np.ndarray, " count"],
    has_test: bool,
    test_one_in: int,
    validation_one_in: int,
    seed: int,
    hold_back: int,
    own_validation: int = 0,
    good: int | None = None,
) -> dict[str, Integer[np.ndarray, " rows"]]:
    """Rows of a source's training images by split, as sorted indices: `train`, `validation` and `held_back`.

    There is a split `test` if the source has no test set. The last `own_validation` images are the source's own
    validation split; if there are none, validation is held out. `good` is the number of the class that alone is trained
    on: images of other classes are in `test`. Held-back rows are taken last, from the training rows, so that validation
    and test do not depend on `hold_back`.

    Raises:
        VaelineError: a class has too few images for all splits.
    """
    used = np.arange(len(labels)) if good is None else np.flatnonzero(labels == good)
    is_own = used >= len(labels) - own_validation
    rows, splits = used[~is_own], {}
    if not has_test:
        kept, held = hold_out(labels[rows], test_one_in, seed, "test")
        others = np.setdiff1d(np.arange(len(labels)), used)
        rows, splits["test"] = rows[kept], np.sort(np.concatenate([rows[held], others]))
    if own_validation:
        train, validation = rows, used[is_own]
    else:
        train, validation = (rows[part] for part in hold_out(labels[rows], validation_one_in, seed, "validation"))
    splits |= {"train": train, "validation": validation, "held_back": rows[:0]}
    if hold_back:
        kept, held = _hold_out(labels[splits["train"]], hold_back, seed, "held-back")
        splits |= {"train": splits["train"][kept], "held_back": splits["train"][held]}
    return splits


def _hold_out(
    labels: Integer[np.ndarray, " count"], held: int, seed: int, what: str
) -> tuple[Integer[np.ndarray, " kept"], Integer[np.ndarray, " held"]]:
    try:
        rest, held_out = train_test_split(np.arange(len(labels)), test_size=held, random_state=seed, stratify=labels)
    except ValueError as error:
        raise VaelineError(f"prepare: no {what} split of {held} from {len(labels)} images: {error}") from None
    return np.sort(rest), np.sort(held_out)
