"""Reading many files on all processors, with a bounded number of results in memory."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from vaeline.errors import VaelineError
from vaeline.images.errors import UnreadableImagesError

CHUNK = 64  # files that a process reads at a time
FEWEST = 512  # from this number of files on, other processes save more time than their start takes
AHEAD = 3  # chunks for each process that may wait for the caller

Found = TypeVar("Found")


@dataclass(frozen=True)
class Unusable:
    """A file that cannot be used, and the reason."""

    file: Path
    reason: str


def read_all(read: Callable[[Path], Found], files: Sequence[Path], title: str) -> Iterator[Found | Unusable]:
    """The result of `read` for each file, in the order of the files, with a progress bar if there is a terminal.

    Many files are read by one process for each processor. `read` must therefore be a function of a module, or a
    `functools.partial` of one. If it raises UnreadableImagesError, the result is Unusable.

    Raises:
        VaelineError: a reading process was killed.
    """
    chunks = [tuple(files[start : start + CHUNK]) for start in range(0, len(files), CHUNK)]
    with tqdm(total=len(files), desc=title, unit=" files", disable=None, leave=False) as bar:
        for results in _read_chunks(read, chunks, len(files) >= FEWEST):
            yield from results
            bar.update(len(results))


def _read_chunks(
    read: Callable[[Path], Found], chunks: Sequence[tuple[Path, ...]], in_parallel: bool
) -> Iterator[list[Found | Unusable]]:
    if not in_parallel:
        for chunk in chunks:
            yield _read_chunk(read, chunk)
        return
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pending: deque[Future[list[Any]]] = deque()
    try:
        # Not forked: a fork of a process with threads, such as those of TensorFlow, can wait for a lock for ever.
        with ProcessPoolExecutor(workers, get_context("forkserver")) as pool:
            for chunk in chunks:
                pending.append(pool.submit(_read_chunk, read, chunk))
                if len(pending) > AHEAD * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
    except BrokenProcessPool:
        raise VaelineError(
            "a process that reads pictures has ended, perhaps for lack of memory; free some memory, or lower "
            "data.most_pixels, and run the same command again: it goes on where it stopped"
        ) from None


def _read_chunk(read: Callable[[Path], Found], files: Sequence[Path]) -> list[Found | Unusable]:
    return [_read_one(read, file) for file in files]


def _read_one(read: Callable[[Path], Found], file: Path) -> Found | Unusable:
    try:
        return read(file)
    except UnreadableImagesError as error:
        return Unusable(file, error.reason)
