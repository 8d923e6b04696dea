"""Images that are equal or look alike: candidates are found by hashes and confirmed by the details of the images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Integer, UInt64
from scipy.fft import dct
from scipy.ndimage import uniform_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from vaeline.images.arrays import luminance
from vaeline.images.digests import image_digest
from vaeline.images.lazy import ByteParts, LazyImages
from vaeline.images.types import AnyImages, ByteImages

USUAL_DISTANCE = 6  # of 64 bits
SIDE = 32  # of thumbnails; smaller images are not enlarged
FREQUENCIES = 8  # of rows and of columns: 64 bits
COARSE = 4  # side of the mean filter that a thumbnail's details are what is left of
LEAST_CORRELATION = {True: 0.8, False: 0.9}  # of details; images of at most 32 pixels a side have few of them
MOST_DETAIL_BITS = 22  # of 64; images with a correlation of 0.8 differ in 13 ± 3, unrelated ones in 32 ± 4
ORDERS = 8  # rotations of the bits, in which the hashes are sorted
WINDOW = 64  # neighbours in each order that a hash is compared with
NUMBERS_AT_A_TIME = 2**22

Groups: TypeAlias = Integer[np.ndarray, " count"]
Hashes: TypeAlias = UInt64[np.ndarray, " count"]
Thumbnails: TypeAlias = Float64[np.ndarray, "count small_height small_width"]


@dataclass(frozen=True)
class Duplicates:
    """The number of each image's group (count,): of images with equal pixels, and of images that look alike.

    An image without duplicates has a group of its own. Equal images look alike.
    """

    equal: Groups
    alike: Groups


def find_duplicates(
    parts: ByteParts, rows: Integer[np.ndarray, " count"], distance: int = USUAL_DISTANCE
) -> Duplicates:
    """The duplicates among some rows of `parts`, arrays (…, height, width, channels) uint8 one behind the other.

    Two images look alike if their perceptual hashes differ in at most `distance` of 64 bits, and their details
    correlate (`look_alike`). Light, contrast and colour do not matter. Groups are the connected components of such
    pairs. Mirrored, turned and cropped images are not found.

    Hashes are sorted in eight rotations of their bits, and each is compared with its next 64 in each (as the tables of
    Manku et al. 2007, "Detecting near-duplicates for web crawling"). Time therefore grows like that of sorting, and
    memory by about 100 bytes an image; images are read in parts. Among more than a million images some pairs can be
    missed, equal images never.
    """
    contents, hashes, details = (np.empty(len(rows), "uint64") for _ in range(3))
    stored = LazyImages.stored(parts)
    step = max(1, NUMBERS_AT_A_TIME // int(np.prod(stored.shape[1:])))
    for start in range(0, len(rows), step):
        images = stored[rows[start : start + step]]
        taken = slice(start, start + len(images))
        contents[taken] = [int.from_bytes(image_digest(image)[:8], "big") for image in images]
        thumbnails = make_thumbnails(images)
        hashes[taken], details[taken] = perceptual_hashes(thumbnails), detail_hashes(thumbnails)
    _, first, equal = np.unique(contents, return_index=True, return_inverse=True)
    del contents
    groups = np.arange(len(first))
    for pairs in _candidates(hashes[first], distance):
        bits = np.bitwise_count(details[first[pairs[0]]] ^ details[first[pairs[1]]])
        apart = pairs[:, (groups[pairs[0]] != groups[pairs[1]]) & (bits <= MOST_DETAIL_BITS)]
        for start in range(0, apart.shape[1], step):
            left, right = apart[:, start : start + step]
            alike = look_alike(stored[rows[first[left]]], stored[rows[first[right]]])
            groups = join(groups, left[alike], right[alike])
    return Duplicates(equal, groups[equal])


def join(groups: Groups, left: Integer[np.ndarray, " pairs"], right: Integer[np.ndarray, " pairs"]) -> Groups:
    """The groups in which the images of each pair of rows are in one group, numbered from 0."""
    apart = groups[left] != groups[right]  # few of many pairs, and the graph takes memory for each
    if not apart.any():
        return groups
    size = int(groups.max()) + 1
    ends = (groups[left[apart]], groups[right[apart]])
    graph = coo_array((np.ones(len(ends[0]), bool), ends), shape=(size, size))
    return connected_components(graph, directed=False)[1][groups]


def make_thumbnails(images: AnyImages, most: int = SIDE) -> Thumbnails:
    """The luminance of images (count, height, width, channels), averaged over cells; at most `most` × `most`."""
    if max(images.shape[1:3]) <= most:
        return luminance(images)
    rows, columns = (_cell_means(side, most) for side in images.shape[1:3])
    return rows @ luminance(images) @ columns.T


def perceptual_hashes(thumbnails: Thumbnails) -> Hashes:
    """The pHash of each thumbnail, whose sides are at least 8: 64 bits.

    A bit says whether one of the 8 × 8 lowest frequencies (DCT-II) is above their median (Zauner 2010, "Implementation
    and benchmarking of perceptual image hash functions").
    """
    rows, columns = (dct(np.eye(side), axis=0, norm="ortho")[:FREQUENCIES] for side in thumbnails.shape[1:])
    low = (rows @ thumbnails @ columns.T).reshape(-1, FREQUENCIES**2)
    return _packed(low > np.median(low, axis=1, keepdims=True))


def detail_hashes(thumbnails: Thumbnails) -> Hashes:
    """The signs of 64 random projections of each thumbnail's details (Charikar 2002, "Similarity estimation …")."""
    details = _details(thumbnails).reshape(len(thumbnails), -1)
    return _packed(details @ np.random.default_rng(0).standard_normal((details.shape[1], 64)) > 0)


def look_alike(left: ByteImages, right: ByteImages) -> Bool[np.ndarray, " count"]:
    """Whether the details of each pair of images correlate by 0.8 at least; 0.9 for those of at most 32 pixels a side.

    Flat images have no details, and never look alike.
    """
    one, other = (_details(make_thumbnails(images)) for images in (left, right))
    least = LEAST_CORRELATION[max(left.shape[1:3]) > SIDE]
    return (one * other).sum(axis=(1, 2)) > least * np.sqrt((one**2).sum(axis=(1, 2)) * (other**2).sum(axis=(1, 2)))


def _cell_means(side: int, most: int) -> Float64[np.ndarray, "cells side"]:
    """The matrix (cells, side) that averages `side` numbers over equal cells, which can begin between two numbers."""
    cells = min(side, most)
    starts, numbers = np.arange(cells)[:, None] * side / cells, np.arange(side)
    overlap = np.minimum(starts + side / cells, numbers + 1) - np.maximum(starts, numbers)
    return np.maximum(overlap, 0) * cells / side


def _details(thumbnails: Thumbnails) -> Thumbnails:
    return thumbnails - uniform_filter(thumbnails, (0, COARSE, COARSE))


def _packed(bits: Bool[np.ndarray, "count 64"]) -> Hashes:
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype("uint64")


def _candidates(hashes: Hashes, distance: int) -> Iterator[Integer[np.ndarray, "2 _"]]:
    """Rows (2, pairs) of pairs of near hashes, some of them more than once."""
    for turn in range(0, 64, 64 // ORDERS):
        rotated = hashes << np.uint64(turn) | hashes >> np.uint64((64 - turn) % 64)
        order = np.argsort(rotated, kind="stable")
        found = rotated[order]
        del rotated
        for step in range(1, min(WINDOW + 1, len(found))):
            differing = np.bitwise_count(found[step:] ^ found[:-step])
            near = np.flatnonzero((differing <= distance) & ((differing > 0) | (turn == 0)))
            yield np.stack([order[near], order[near + step]])
