"""Digests of images: what tells two images apart, and two sets of images."""

import hashlib
from collections.abc import Iterable

import numpy as np


def image_digest(image: np.ndarray) -> bytes:
    """The SHA-256 of the bytes of an image's pixels, 32 bytes.

    A grey image (height, width, 1) has the same digest as (height, width).
    """
    return hashlib.sha256(np.ascontiguousarray(image).data).digest()


def image_digests(images: Iterable[np.ndarray]) -> list[bytes]:
    """The digest of each image of (count, height, width, channels)."""
    return [image_digest(image) for image in images]


def set_digest(images: Iterable[np.ndarray]) -> str:
    """The SHA-256 of images as a set, in hexadecimal digits: of the sorted digests of each, whatever their order."""
    return hashlib.sha256(b"".join(sorted(image_digests(images)))).hexdigest()
