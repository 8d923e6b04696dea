"""Digests of single images and of sets of images."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Shaped

from vaeline.images.types import AnyImages


def image_digest(image: Shaped[np.ndarray, "..."]) -> bytes:
    """The SHA-256 of the bytes of an image's pixels, 32 bytes.

    A grey image (height, width, 1) has the same digest as (height, width).
    """
    return hashlib.sha256(np.ascontiguousarray(image).data).digest()


def image_digests(images: Iterable[Shaped[np.ndarray, "..."]]) -> list[bytes]:
    """The digest of each image of (count, height, width, channels)."""
    return [image_digest(image) for image in images]


def set_digest(images: Iterable[Shaped[np.ndarray, "..."]]) -> str:
    """The SHA-256 of images as a set, in hexadecimal digits; it does not depend on their order."""
    return hashlib.sha256(b"".join(sorted(image_digests(images)))).hexdigest()


def npy_digest(images: AnyImages) -> str:
    """The SHA-256 of the .npy file that images (count, height, width, channels) make, in hexadecimal digits.

    Grey images count as (count, height, width), as they were written before images had channels. Older records thus
    stay comparable.
    """
    stream = _Hashed()
    rows = images[..., 0] if images.shape[-1] == 1 else images
    np.lib.format.write_array(stream, np.ascontiguousarray(rows), allow_pickle=False)
    return stream.sha256.hexdigest()


class _Hashed:
    """A stream that only hashes what is written to it."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def write(self, content: Any) -> int:
        self.sha256.update(content)
        return len(content)
