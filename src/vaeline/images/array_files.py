"""NumPy files of arrays, read without pickles and with a limit on their size."""

import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from vaeline.images.errors import UnreadableImagesError
from vaeline.images.limits import Limit
from vaeline.redaction import one_line

BROKEN_NPY = (OSError, ValueError, SyntaxError, EOFError, TypeError, OverflowError, tokenize.TokenError)
BROKEN_NPZ = (*BROKEN_NPY, LookupError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile)
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENDING = ".npy"


def read_npy(path: Path) -> Shaped[np.ndarray, "..."]:
    """The array in an .npy file as a read-only memory map.

    Raises:
        UnreadableImagesError: the file is empty, cut off, or holds a pickle.
    """
    try:
        if not path.stat().st_size:
            raise UnreadableImagesError("an empty file", path)
        return np.lib.format.open_memmap(path, mode="r")
    except BROKEN_NPY:
        raise UnreadableImagesError("cut off, or no .npy array of numbers (pickles are not read)", path) from None


def read_npz(path: Path, names: tuple[str, ...], most_bytes: Limit) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The arrays of an .npz file whose names are in `names`.

    Raises:
        UnreadableImagesError: the file is empty, broken, holds a pickle or none of the arrays, or has more than
            `most_bytes` when unpacked.
    """
    try:
        if not path.stat().st_size:
            raise UnreadableImagesError("an empty file", path)
        with zipfile.ZipFile(path) as archive:
            members = {member.filename.removesuffix(ENDING): member for member in archive.infolist()}
            size = sum(member.file_size for member in members.values())
            if size > most_bytes.most:
                raise UnreadableImagesError(f"{size:,} bytes when unpacked, {most_bytes}", path)
            found = {name: _read_member(archive, members[name]) for name in names if name in members}
            held = one_line(", ".join(members), 200) or "nothing"
    except BROKEN_NPZ as error:
        raise UnreadableImagesError(
            f"not a readable .npz file without pickles ({one_line(error, 200)})", path
        ) from None
    if not found:
        raise UnreadableImagesError(f"holds {held}; expected one of {', '.join(names)}", path)
    return found


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Shaped[np.ndarray, "..."]:
    """An array in an archive. Its header is compared with the member's size, because NumPy allocates what it says.

    Raises:
        ValueError: the member is no array, is compressed in another way than by NumPy, or is shorter than it says.
    """
    if member.compress_type not in METHODS:
        raise ValueError(f"{member.filename} is compressed in a way that NumPy does not write")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError(f"{member.filename} has fewer bytes than its header says")
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)
