"""IDX files, the format of MNIST: a magic number, the dimensions, then bytes."""

import gzip
import math
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Integer, Shaped

from vaeline.artifacts import atomic_file
from vaeline.errors import VaelineError
from vaeline.images.errors import UnreadableImagesError, named
from vaeline.images.lazy import ByteSource, read_parts
from vaeline.images.limits import OWN, Limit
from vaeline.images.stacks import as_stack
from vaeline.images.types import ByteImages

UNSIGNED_BYTE, INT32 = 8, 12
TYPES = {UNSIGNED_BYTE: np.dtype("uint8"), INT32: np.dtype(">i4")}
LONGEST_HEADER = 4 + 4 * 255
GZIP = b"\x1f\x8b"
CHUNK = 2**20


def read_idx(path: Path, most_bytes: Limit = OWN.bytes) -> Integer[np.ndarray, "..."]:
    """The array in an IDX file of unsigned bytes or of 32-bit integers, read-only.

    It is a memory map, or in memory if the file is compressed by gzip.

    Raises:
        UnreadableImagesError: the file is missing, is no such IDX file, is longer or shorter than its header says, or
            has more than `most_bytes` when unpacked.
    """
    if not path.is_file():
        raise UnreadableImagesError("no such file", path)
    with path.open("rb") as stream:
        start = stream.read(LONGEST_HEADER)
    if start.startswith(GZIP):
        content = unpack(path, most_bytes)
        dtype, shape, offset = _header(path, content, len(content))
        return np.frombuffer(content, dtype, offset=offset).reshape(shape)
    dtype, shape, offset = _header(path, start, path.stat().st_size)
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape)


def read_idx_images(path: Path, most_bytes: Limit = OWN.bytes) -> ByteImages:
    """The images (count, height, width, channels) uint8 in an IDX file of three (grey) or four dimensions, read-only.

    Raises:
        UnreadableImagesError: as `read_idx`, or the file holds no images.
    """
    with named(path):
        images = as_stack(read_idx(path, most_bytes))
        if images.dtype != np.uint8:
            raise UnreadableImagesError("holds 32-bit integers; images must be unsigned bytes")
        return images


def write_idx(path: Path, array: Shaped[np.ndarray, "..."], rows: Integer[np.ndarray, " rows"] | None = None) -> None:
    """Write an array of whole numbers as an IDX file, atomically, or some of its rows.

    uint8 becomes unsigned bytes, wider types become 32-bit integers.
    """
    taken = array if rows is None else array[rows]
    _write(path, array.dtype, taken.shape, [taken])


def write_idx_images(path: Path, images: ByteSource, rows: Integer[np.ndarray, " rows"] | None = None) -> None:
    """Write images (count, height, width, channels), or some of their rows, a part at a time.

    Grey images have three dimensions like MNIST's, others four.
    """
    rows = np.arange(len(images)) if rows is None else rows
    shape = images.shape[1:-1] if images.shape[-1] == 1 else images.shape[1:]
    _write(path, images.dtype, (len(rows), *shape), read_parts(images, rows))


def _write(path: Path, dtype: np.dtype, shape: tuple[int, ...], parts: Iterable[Shaped[np.ndarray, "..."]]) -> None:
    """Write the parts of an array of this shape, one after the other."""
    if dtype.kind not in "ui":
        raise VaelineError(f"{path}: IDX files here hold whole numbers, not {dtype}")
    code = UNSIGNED_BYTE if dtype == np.uint8 else INT32
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        stream.write(bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape))
        for part in parts:
            stream.write(np.ascontiguousarray(part, TYPES[code]).data)


def unpack(path: Path, most_bytes: Limit) -> bytes:
    """The content of a gzip file, read in parts, because the size that it gives for itself can be false.

    Raises:
        UnreadableImagesError: the file is broken, or has more than `most_bytes` when unpacked.
    """
    parts, size = [], 0
    try:
        with gzip.open(path) as stream:
            while part := stream.read(CHUNK):
                parts.append(part)
                size += len(part)
                if size > most_bytes.most:
                    raise UnreadableImagesError(f"too many bytes when unpacked, {most_bytes}", path)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableImagesError(f"broken gzip file ({error})", path) from None
    return b"".join(parts)


def _header(path: Path, start: bytes, size: int) -> tuple[np.dtype, tuple[int, ...], int]:
    """Type, shape and offset of the data, checked against the `size` of the content in bytes."""
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES or not start[3]:
        raise UnreadableImagesError("not an IDX file of unsigned bytes or 32-bit integers", path)
    dtype, offset = TYPES[start[2]], 4 + 4 * start[3]
    if len(start) < offset:
        raise UnreadableImagesError("the IDX header is cut off", path)
    shape = struct.unpack(f">{start[3]}I", start[4:offset])
    expected = offset + math.prod(shape) * dtype.itemsize
    if size != expected:
        raise UnreadableImagesError(f"{size} bytes, but its header {shape} says {expected}", path)
    if not math.prod(shape):
        raise UnreadableImagesError(f"holds no data, its header says {shape}", path)
    return dtype, shape, offset
