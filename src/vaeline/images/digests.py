"""Digests of single images and of sets of images."""

import hashlib
import io
from collections.abc import Iterable

import numpy as np
from jaxtyping import Shaped

from vaeline.images.lazy import AnySource, read_parts


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


def npy_digest(images: AnySource) -> str:
    """The SHA-256 of the .npy file that images (count, height, width, channels) make, in hexadecimal digits.

    Grey images count as (count, height, width), as they were written before images had channels. Older records thus
    stay comparable. Images are read in parts.
    """
    shape = images.shape[:-1] if images.shape[-1] == 1 else images.shape
    about = {"descr": np.lib.format.dtype_to_descr(images.dtype), "fortran_order": False, "shape": shape}
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, about)
    sha256 = hashlib.sha256(header.getvalue())
    for part in read_parts(images, np.arange(len(images))):
        sha256.update(np.ascontiguousarray(part).data)
    return sha256.hexdigest()
