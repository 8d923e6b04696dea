"""Images near each other: copies that differ a little, and the scores in which neighbours are searched."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Shaped
from scipy.spatial import KDTree
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from vaeline.data.near_duplicates import SIDE, Groups, join, make_thumbnails
from vaeline.images.lazy import ByteParts, LazyImages
from vaeline.images.types import AnyImages

LEAST_CORRELATION = 0.995
"""Two images are near copies if their pixels correlate by this at least. Light and contrast do not matter."""
MOST_DISTANCE = np.sqrt(2 - 2 * LEAST_CORRELATION)  # of standardized images
CANDIDATES = 4  # neighbours that an image is compared with, in coordinates of
AXES = 12
ROWS_OF_AXES = 3500
NUMBERS_AT_A_TIME, ROWS_AT_A_TIME = 2**22, 2**15
FLAT = 1e-3  # a norm of levels

Vectors: TypeAlias = Float32[np.ndarray, "count numbers"]
Axes: TypeAlias = Float32[np.ndarray, "numbers axes"]
AnyParts: TypeAlias = Sequence[Shaped[np.ndarray | LazyImages, "_ _ _ _"]]
"""Arrays of images of any dtype and size, whose rows are numbered one array behind the other."""


@threadpool_limits.wrap(limits=1)  # the bits then depend on no number of cores
def find_near_copies(parts: ByteParts, equal: Groups) -> Groups:
    """The number of each image's group (count,): equal images and near copies among all images of `parts`.

    parts: arrays (…, height, width, channels) uint8, one behind the other. equal: groups of images with equal pixels.

    Near copies have pixels (those of thumbnails, if a side has more than 32) that correlate by 0.995 at least. In the
    coordinates of a few principal components, which only shorten distances, each image is compared with its four
    nearest. Flat images have no near copy. Groups are the connected components of such pairs.

    Unlike `find_duplicates`, it tells drawings of one kind apart: of 70,000 MNIST digits no two are near copies, while
    5 % look alike. Memory grows by about 200 bytes an image.
    """
    stored = LazyImages.stored(parts)
    _, first, members = np.unique(equal, return_index=True, return_inverse=True)
    order = np.argsort(first)
    first, members = first[order], np.argsort(order)[members]  # images are read in their order
    step = max(1, NUMBERS_AT_A_TIME // int(np.prod(stored.shape[1:])))
    mean, axes = principal_axes(standardize(stored[first[:: max(1, len(first) // ROWS_OF_AXES)]]), AXES)
    scores = np.empty((len(first), axes.shape[1]), "float32")
    for start in range(0, len(first), step):
        scores[start : start + step] = (standardize(stored[first[start : start + step]]) - mean) @ axes
    tree, groups = KDTree(scores), np.arange(len(first))
    for start in range(0, len(first), ROWS_AT_A_TIME):
        searched = scores[start : start + ROWS_AT_A_TIME]
        _, nearest = tree.query(searched, CANDIDATES + 1, distance_upper_bound=MOST_DISTANCE)
        left, place = np.nonzero(nearest < len(first))  # the others have no neighbour so near
        pairs = np.stack([left + start, nearest[left, place]])
        pairs = pairs[:, pairs[0] != pairs[1]]
        for begin in range(0, pairs.shape[1], step):
            one, other = pairs[:, begin : begin + step]
            alike = _near(stored[first[one]], stored[first[other]])
            groups = join(groups, one[alike], other[alike])
    return groups[members]


def are_comparable(parts: AnyParts) -> bool:
    """Whether the arrays hold uint8 images of one size. Others, which no profile takes, are compared only exactly."""
    return {part.dtype for part in parts} == {np.dtype("uint8")} and len({part.shape[1:] for part in parts}) == 1


def standardize(images: AnyImages, side: int = SIDE) -> Vectors:
    """The levels of images (count, height, width, channels), of mean 0 and norm 1: one vector an image.

    Larger images become thumbnails of at most `side` × `side`. The vector of a flat image is 0.
    """
    if max(images.shape[1:3]) > side:
        channels = [make_thumbnails(images[..., [channel]], side) for channel in range(images.shape[-1])]
        images = np.stack(channels, axis=3)
    vectors = images.reshape(len(images), -1).astype("float32")
    vectors -= vectors.mean(axis=1, keepdims=True)
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > FLAT)


def principal_axes(vectors: Vectors, number: int) -> tuple[Float32[np.ndarray, " numbers"], Axes]:
    """The mean of vectors and their first principal components, at most `number`, of norm 1."""
    mean = vectors.mean(axis=0)
    axes = randomized_svd(vectors - mean, min(number, *vectors.shape), random_state=0)[2]
    return mean, axes.T.astype("float32")


def _near(left: AnyImages, right: AnyImages) -> Bool[np.ndarray, " pairs"]:
    return np.einsum("ij,ij->i", standardize(left), standardize(right)) >= LEAST_CORRELATION
