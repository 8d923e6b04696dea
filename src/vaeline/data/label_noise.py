"""Labels that neighbours contradict: confident learning on the votes of nearest neighbours."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, Integer
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from vaeline.data.neighbours import AnyParts, Vectors, are_comparable, principal_axes, standardize
from vaeline.images.lazy import LazyImages, read_parts

MOST_JUDGED, LEAST_JUDGED = 10_000, 300
"""The most labels that are judged, of larger data a random part; and the fewest that are judged at all."""
SIDES = {1: 32, 3: 16}  # of thumbnails, by channels
AXES, NEIGHBOURS, MAJORITY = 32, 10, 0.5
PARTS = (300, 1000, 3000)
"""Sizes of the parts whose labels `doubtful_shares` judges too."""

Doubts: TypeAlias = Float64[np.ndarray, " count"]
SplitLabels: TypeAlias = Sequence[Integer[np.ndarray, " _"]]


@threadpool_limits.wrap(limits=1)
def judge_labels(parts: AnyParts, labels: SplitLabels, seed: int = 0) -> tuple[Doubts, Doubts]:
    """For each row of all splits, how doubtful its label is, and the label that is more likely.

    parts: the images of each split (…, height, width, channels). labels: those of each split.

    Confident learning (Northcutt et al. 2021, "Confident learning: estimating uncertainty in dataset labels"). The
    probability p of a class is its share among the labels of the ten nearest other images, in 32 principal components
    of standardized thumbnails. An image has no vote about itself, as in cross-validation. A class is confident where p
    is at least its average over the images with its label, and at least one half. A label is doubtful if the confident
    class of highest p is another one.

    The first array is by how much p of that class exceeds p of the label, 0 if the label is not doubtful. The second is
    that class, or the label itself. Both are NaN where nothing was judged: of more than 10,000 rows a random part is
    judged, of each split the same share. With fewer than 300 rows, one class, or images of several sizes, nothing is.
    One thread computes it: the bits then depend on no number of cores, and small arrays gain nothing from more.
    """
    every, rows = np.concatenate(labels).astype("int64"), _choose_rows([len(part) for part in labels], seed)
    doubts, likely = np.full(len(every), np.nan), np.full(len(every), np.nan)
    if len(np.unique(every[rows])) > 1 and are_comparable(parts):
        doubts[rows], likely[rows] = _judge(_read_vectors(parts, rows), every[rows])
    return doubts, likely


@threadpool_limits.wrap(limits=1)
def doubtful_shares(parts: AnyParts, labels: SplitLabels, seed: int = 0) -> dict[int, float]:
    """The share of doubtful labels by the number of judged ones: of all, and of random parts of 300, 1,000 and 3,000.

    Among fewer images neighbours are farther away, and more labels are doubtful. Shares of parts are averages over as
    many parts as have 10,000 labels. Empty if nothing can be judged.
    """
    every, rows = np.concatenate(labels).astype("int64"), _choose_rows([len(part) for part in labels], seed)
    if len(np.unique(every[rows])) < 2 or not are_comparable(parts):
        return {}
    vectors, labels, rng = _read_vectors(parts, rows), every[rows], np.random.default_rng(seed)
    shares = {}
    for size in (size for size in PARTS if size < len(rows)):
        drawn = [rng.choice(len(rows), size, replace=False) for _ in range(MOST_JUDGED // size)]
        shares[size] = float(np.mean([_judge(vectors[part], labels[part])[0] > 0 for part in drawn]))
    return shares | {len(rows): float((_judge(vectors, labels)[0] > 0).mean())}


def judged_rows(rows: Mapping[str, int]) -> dict[str, int]:
    """How many labels of each split `judge_labels` judges."""
    total = sum(rows.values())
    if total < LEAST_JUDGED:
        return dict.fromkeys(rows, 0)
    return {name: count if total <= MOST_JUDGED else round(MOST_JUDGED * count / total) for name, count in rows.items()}


def _choose_rows(counts: Sequence[int], seed: int) -> Integer[np.ndarray, " rows"]:
    """The judged rows of splits with so many rows, numbered one split after the other, sorted."""
    rng, first, chosen = np.random.default_rng(seed), 0, []
    for name, judged in judged_rows({str(number): count for number, count in enumerate(counts)}).items():
        chosen.append(first + np.sort(rng.choice(counts[int(name)], judged, replace=False)))
        first += counts[int(name)]
    return np.concatenate(chosen).astype("int64")


def _read_vectors(parts: AnyParts, rows: Integer[np.ndarray, " rows"]) -> Vectors:
    stored = LazyImages.stored(parts)
    side = SIDES[stored.shape[3]]
    return np.concatenate([standardize(images, side) for images in read_parts(stored, rows)])


def _judge(vectors: Vectors, labels: Integer[np.ndarray, " count"]) -> tuple[Doubts, Doubts]:
    mean, axes = principal_axes(vectors, AXES)
    search = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(labels) - 1), algorithm="brute")
    votes = labels[search.fit((vectors - mean) @ axes).kneighbors(return_distance=False)]
    shares = (votes[:, :, None] == votes[:, None, :]).mean(axis=2)  # of each neighbour's label
    own = (votes == labels[:, None]).mean(axis=1)
    classes, members, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    usual = np.maximum(np.bincount(members, weights=own) / sizes, MAJORITY)
    confident = np.where(shares >= usual[np.searchsorted(classes, votes)], shares, 0)
    best = confident.argmax(axis=1)[:, None]
    likely, share = (np.take_along_axis(values, best, axis=1)[:, 0] for values in (votes, confident))
    is_doubtful = (share > 0) & (likely != labels)
    return np.where(is_doubtful, share - own, 0.0), np.where(is_doubtful, likely, labels).astype("float64")
