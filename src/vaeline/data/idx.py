"""IDX files, the format of MNIST: a magic number, the dimensions, then bytes."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from vaeline.artifacts import atomic_file
from vaeline.errors import VaelineError

UNSIGNED_BYTE = 8
LONGEST_HEADER = 4 + 4 * 255


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array in an IDX file, read-only: a memory map, or in memory if the name ends in .gz.

    Raises:
        VaelineError: the file is missing, is no IDX file of unsigned bytes, or is longer or shorter than it says.
    """
    if not path.is_file():
        raise VaelineError(f"{path}: no such file")
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(path.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            raise VaelineError(f"{path}: broken gzip file ({error})") from None
        shape, offset = _header(path, content, len(content))
        return np.frombuffer(content, "uint8", offset=offset).reshape(shape)
    with path.open("rb") as stream:
        shape, offset = _header(path, stream.read(LONGEST_HEADER), path.stat().st_size)
    return np.memmap(path, dtype="uint8", mode="r", offset=offset, shape=shape)


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write a uint8 array as an IDX file, atomically."""
    if array.dtype != np.uint8:
        raise VaelineError(f"{path}: IDX files here hold uint8, not {array.dtype}")
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        stream.write(bytes([0, 0, UNSIGNED_BYTE, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape))
        stream.write(np.ascontiguousarray(array).data)


def _header(path: Path, start: bytes, size: int) -> tuple[tuple[int, ...], int]:
    """Shape and offset of the data, checked against the `size` of the content in bytes."""
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] != UNSIGNED_BYTE or not start[3]:
        raise VaelineError(f"{path}: not an IDX file of unsigned bytes")
    offset = 4 + 4 * start[3]
    if len(start) < offset:
        raise VaelineError(f"{path}: the IDX header is cut off")
    shape = struct.unpack(f">{start[3]}I", start[4:offset])
    if size != offset + math.prod(shape):
        raise VaelineError(f"{path}: {size} bytes, but its header {shape} asks for {offset + math.prod(shape)}")
    if not math.prod(shape):
        raise VaelineError(f"{path}: holds no data, its header says {shape}")
    return shape, offset
