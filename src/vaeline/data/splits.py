"""The split of each image."""

import numpy as np
from jaxtyping import Integer

from vaeline.errors import VaelineError


def hold_out(
    labels: Integer[np.ndarray, " count"],
    one_in: int,
    seed: int,
    what: str,
    groups: Integer[np.ndarray, " count"] | None = None,
) -> tuple[Integer[np.ndarray, " kept"], Integer[np.ndarray, " held"]]:
    """Sorted indices of the kept and of the held-out images: one in `one_in`, with the class shares of all images.

    what: the name of the split of held-out images, for messages.
    groups: the number of each image's group. Images of a group are all kept or all held out. Shares are then
        approximate.

    Raises:
        VaelineError: a class has too few images for both, or all groups are too large.
    """
    if groups is None or len(np.unique(groups)) == len(groups):
        return _hold_out(labels, round(len(labels) / one_in), seed, what)
    return _hold_out_groups(labels, groups, one_in, seed, what)


def split_source(
    labels: Integer[np.ndarray, " count"],
    has_test: bool,
    test_one_in: int,
    validation_one_in: int,
    seed: int,
    hold_back: int,
    own_validation: int = 0,
    good: int | None = None,
    groups: Integer[np.ndarray, " count"] | None = None,
) -> dict[str, Integer[np.ndarray, " rows"]]:
    """Rows of a source's training images by split, as sorted indices: `train`, `validation` and `held_back`.

    There is a split `test` if the source has no test set. The last `own_validation` images are the source's own
    validation split; if there are none, validation is held out. `good` is the number of the class that alone is trained
    on: images of other classes are in `test`. Images of one of `groups` (count,) stay in one split; a group with an
    image of another class than `good` is in `test`. Only the source's own splits are kept as they are. Held-back rows
    are taken last, from the training rows, so that validation and test do not depend on `hold_back`.

    Raises:
        VaelineError: a class has too few images for all splits, or all groups are too large.
    """
    is_used = np.full(len(labels), True) if good is None else labels == good
    if groups is not None and not has_test:
        is_used &= ~np.isin(groups, groups[~is_used])
    used = np.flatnonzero(is_used)
    is_own = used >= len(labels) - own_validation
    rows, splits = used[~is_own], {}
    if not has_test:
        kept, held = hold_out(labels[rows], test_one_in, seed, "test", _part(groups, rows))
        others = np.setdiff1d(np.arange(len(labels)), used)
        rows, splits["test"] = rows[kept], np.sort(np.concatenate([rows[held], others]))
    if own_validation:
        train, validation = rows, used[is_own]
    else:
        parts = hold_out(labels[rows], validation_one_in, seed, "validation", _part(groups, rows))
        train, validation = (rows[part] for part in parts)
    splits |= {"train": train, "validation": validation, "held_back": rows[:0]}
    if hold_back:
        kept, held = _hold_out(labels[splits["train"]], hold_back, seed, "held-back")
        splits |= {"train": splits["train"][kept], "held_back": splits["train"][held]}
    return splits


def _hold_out(
    labels: Integer[np.ndarray, " count"], held: int, seed: int, what: str
) -> tuple[Integer[np.ndarray, " kept"], Integer[np.ndarray, " held"]]:
    """The rows that scikit-learn's `train_test_split(stratify=labels)` draws, which keeps lists: 73 bytes an image."""
    classes, counts = np.unique(labels, return_counts=True)
    problem = f"prepare: no {what} split of {held} from {len(labels)} images: "
    if counts.min() < 2:
        raise VaelineError(f"{problem}these classes have one image, and two are needed: {classes[counts < 2].tolist()}")
    if not len(classes) <= held <= len(labels) - len(classes):
        raise VaelineError(f"{problem}each of its {len(classes)} classes needs an image in both parts")
    rng = np.random.RandomState(seed)
    kept = _shares(counts, len(labels) - held, rng)
    _shares(counts - kept, held, rng)  # draws what scikit-learn draws
    is_held = np.full(len(labels), True)
    for label, count, most in zip(classes, counts, kept, strict=True):
        is_held[np.flatnonzero(labels == label)[rng.permutation(count)[:most]]] = False
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def _shares(
    counts: Integer[np.ndarray, " classes"], drawn: int, rng: np.random.RandomState
) -> Integer[np.ndarray, " classes"]:
    """Numbers in proportion to `counts` with the sum `drawn`. Of equal remainders, chance decides which are raised."""
    exact = counts / counts.sum() * drawn
    shares = np.floor(exact).astype("int64")
    missing = drawn - shares.sum()
    for remainder in np.unique(exact - shares)[::-1]:
        if not missing:
            break
        equal = np.flatnonzero(exact - np.floor(exact) == remainder)
        raised = rng.choice(equal, size=min(len(equal), missing), replace=False)
        shares[raised] += 1
        missing -= len(raised)
    return shares


def _hold_out_groups(
    labels: Integer[np.ndarray, " count"], groups: Integer[np.ndarray, " count"], one_in: int, seed: int, what: str
) -> tuple[Integer[np.ndarray, " kept"], Integer[np.ndarray, " held"]]:
    """As `hold_out`: in each class, random groups whose images together come nearest to one in `one_in`.

    A group counts to the class that most of its images have. Groups that are larger than twice the wanted number of
    images are kept. scikit-learn's StratifiedGroupKFold needs a matrix of groups × classes and a step of Python for
    each group, so that a million groups take minutes; it refuses fewer groups than `one_in`.
    """
    names, members, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    classes = _usual_labels(labels, members, len(names))
    wanted = np.bincount(classes, weights=sizes)[classes] / one_in
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.lexsort([(sizes / 2 >= wanted)[shuffled], classes[shuffled]])]
    ends = np.cumsum(sizes[order])
    before = (ends - sizes[order])[np.searchsorted(classes[order], classes[order])]  # images of the earlier classes
    held = np.isin(members, order[ends - before - sizes[order] / 2 < wanted[order]])
    if not held.any() or held.all():
        raise VaelineError(
            f"prepare: no {what} split of one in {one_in} from {len(labels):,} images: their {len(names):,} groups are "
            f"too large; lower data.{what}_one_in, or change data.groups and data.near_duplicates"
        )
    return np.flatnonzero(~held), np.flatnonzero(held)


def _usual_labels(
    labels: Integer[np.ndarray, " count"], members: Integer[np.ndarray, " count"], groups: int
) -> Integer[np.ndarray, " groups"]:
    """The most frequent label of each group; of equally frequent ones, the largest."""
    classes = int(labels.max()) + 1
    pairs, counts = np.unique(members * classes + labels, return_counts=True)
    usual = np.empty(groups, "int64")
    order = np.argsort(counts, kind="stable")
    usual[pairs[order] // classes] = pairs[order] % classes  # of repeated groups, the last assignment stays
    return usual


def _part(
    groups: Integer[np.ndarray, " count"] | None, rows: Integer[np.ndarray, " rows"]
) -> Integer[np.ndarray, " rows"] | None:
    return None if groups is None else groups[rows]
