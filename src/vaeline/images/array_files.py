"""NumPy files of arrays, read without pickles and with a limit on their size."""

import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from vaeline.images.errors import UnreadableImagesError

BROKEN_NPY = (OSError, ValueError, SyntaxError, EOFError, TypeError, OverflowError, tokenize.TokenError)
BROKEN_NPZ = (*BROKEN_NPY, KeyError, NotImplementedError, zlib.error, zipfile.BadZipFile)


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


def read_npz(path: Path, names: tuple[str, ...], most_bytes: int) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The arrays of an .npz file whose names are in `names`.

    Raises:
        UnreadableImagesError: the file is empty, broken, holds a pickle or none of the arrays, or has more than
            `most_bytes` when unpacked.
    """
    try:
        if not path.stat().st_size:
            raise UnreadableImagesError("an empty file", path)
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > most_bytes:
            raise UnreadableImagesError(f"{size:,} bytes when unpacked, at most {most_bytes:,} are read", path)
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in names if name in arrays.files}
            held = ", ".join(arrays.files) or "nothing"
    except BROKEN_NPZ as error:
        raise UnreadableImagesError(f"not a readable .npz file without pickles ({error})", path) from None
    if not found:
        raise UnreadableImagesError(f"holds {held}; expected one of {', '.join(names)}", path)
    return found
