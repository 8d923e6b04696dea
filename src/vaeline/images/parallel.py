"""Reading many files on all processors, with a bounded number of results in memory."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from loky import get_reusable_executor
from tqdm import tqdm

from vaeline.errors import VaelineError
from vaeline.images.errors import UnreadableImagesError

CHUNK = 64  # files that a process reads at a time
FEWEST = 512  # from this number of files on, other processes save more time than their start takes
AHEAD = 3  # chunks for each process that may wait for the caller

Item = TypeVar("Item")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Unusable:
    """A file that cannot be used, and the reason."""

    file: Path
    reason: str


def read_all(
    read: Callable[[Path], Found], files: Sequence[Path], title: str, at_once: int | None = None
) -> Iterator[Found | Unusable]:
    """The result of `read` for each file, in the order of the files; see `work_through`.

    If `read` raises UnreadableImagesError, the result is Unusable.
    """
    for results in work_through(partial(_read_chunk, read), files, title, at_once):
        yield from results


def work_through(
    work: Callable[[Sequence[Item]], Found], items: Sequence[Item], title: str, at_once: int | None = None
) -> Iterator[Found]:
    """The result of `work` for each chunk of items, in their order, with a progress bar if there is a terminal.

    A chunk has `CHUNK` items, or `at_once` if their results are large.

    Many items are worked on by one process for each processor, and only a few chunks wait for the caller. `work` must
    therefore be a function of a module, or a `functools.partial` of one.

    Raises:
        VaelineError: a process was killed.
    """
    size = CHUNK if at_once is None else at_once
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    with tqdm(total=len(items), desc=title, unit=" files", disable=None, leave=False) as bar:
        results = _in_processes(work, chunks) if len(items) >= FEWEST else map(work, chunks)
        for chunk, result in zip(chunks, results, strict=True):
            yield result
            bar.update(len(chunk))


def _in_processes(work: Callable[[Sequence[Item]], Found], chunks: Sequence[Sequence[Item]]) -> Iterator[Found]:
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pending: deque[Future[Found]] = deque()
    # Not forked: a fork of a process with threads, such as those of TensorFlow, can wait for a lock for ever. The
    # processes of multiprocessing would first import all that the main program imports.
    pool = get_reusable_executor(workers)
    try:
        for chunk in chunks:
            pending.append(pool.submit(work, chunk))
            if len(pending) > AHEAD * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool:
        raise VaelineError(
            "a process that reads pictures has ended, perhaps for lack of memory; free some memory, or lower "
            "data.limits.pixels, and run the same command again: it goes on where it stopped"
        ) from None
    finally:
        for future in pending:  # if the caller stops early
            future.cancel()


def _read_chunk(read: Callable[[Path], Found], files: Sequence[Path]) -> list[Found | Unusable]:
    return [_read_one(read, file) for file in files]


def _read_one(read: Callable[[Path], Found], file: Path) -> Found | Unusable:
    try:
        return read(file)
    except UnreadableImagesError as error:
        return Unusable(file, error.reason)
