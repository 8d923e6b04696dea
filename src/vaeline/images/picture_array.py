"""Pictures read into one array on disk, by all processors; a reading that was stopped goes on where it was."""

import hashlib
import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from vaeline.artifacts import write_json
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.limits import Limit
from vaeline.images.parallel import Unusable, work_through
from vaeline.images.spec import ImageSpec
from vaeline.images.tiles import read_tiles

FILES_BETWEEN_SAVES = 4096


def read_into(
    files: tuple[Path, ...], spec: ImageSpec, most_pixels: Limit, cache: Path, counts: Sequence[int] | None = None
) -> tuple[np.ndarray, list[Unusable]]:
    """Pictures as one array (count, height, width, channels) uint8 on disk, and the files that cannot be used.

    counts: how many tiles each picture has, in the order of the array; by default one each.

    The array lies in a folder of `cache` that is named after the files, their times and the spec. What a stopped
    reading has finished is not read again. The rows of unusable files are black.
    """
    counts = [1] * len(files) if counts is None else counts
    folder = cache / _key(files, spec, most_pixels)
    folder.mkdir(parents=True, exist_ok=True)
    array, record = folder / "images.npy", folder / "progress.json"
    done, unusable = 0, []
    if record.is_file():
        done, unusable = _read_progress(record)
    else:
        np.lib.format.open_memmap(array, mode="w+", dtype="uint8", shape=(sum(counts), *spec.shape))
    saved, places = done, list(zip(np.cumsum(counts) - counts, files, strict=True))[done:]
    for found in work_through(partial(_read_rows, array=array, spec=spec, most_pixels=most_pixels), places, "pictures"):
        done += len(found)
        unusable += [result for result in found if result is not None]
        if done - saved >= FILES_BETWEEN_SAVES or done == len(files):
            with array.open("rb") as stream:
                os.fsync(stream)
            write_json(record, {"done": done, "unusable": [[str(item.file), item.reason] for item in unusable]})
            saved = done
    return np.lib.format.open_memmap(array, mode="r"), unusable


def _read_rows(
    places: Sequence[tuple[int, Path]], array: Path, spec: ImageSpec, most_pixels: Limit
) -> list[Unusable | None]:
    """Read pictures into an .npy file, from these rows on; None where that worked. Each process writes its own rows."""
    images, found = np.lib.format.open_memmap(array, mode="r+"), []
    for row, file in places:
        try:
            tiles = read_tiles(file, spec=spec, most_pixels=most_pixels)
            images[row : row + len(tiles)] = tiles
            found.append(None)
        except UnreadableImagesError as error:
            found.append(Unusable(file, error.reason))
    return found


def _read_progress(record: Path) -> tuple[int, list[Unusable]]:
    progress = json.loads(record.read_text(encoding="utf-8"))
    return progress["done"], [Unusable(Path(file), reason) for file, reason in progress["unusable"]]


def _key(files: Sequence[Path], spec: ImageSpec, most_pixels: Limit) -> str:
    about = hashlib.sha256(f"{spec.model_dump_json()} {most_pixels.most}\n".encode())
    for file in files:
        found = file.stat()
        about.update(f"{file}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    return about.hexdigest()[:16]
