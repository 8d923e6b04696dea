"""Measure how fast pictures are read and fitted, against a plain loop of Pillow, and how much memory that takes.

python benchmarks/reading.py [FOLDER]    the pictures of FOLDER, or 12,000 that it makes; writes benchmarks/reading.md

Each picture is read four times, so that the start of processes is a small part.

The loop opens, converts and fits one picture after the other: in one process, and in one process for each core at
once, because cores that work at the same time are slower. The reading is that of the stage `fetch`, with all
processors: it also turns pictures, checks their sizes, applies profiles, and writes an array to disk. All take turns,
so that other work on the machine slows down all.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
from loky import get_reusable_executor
from PIL import Image, ImageOps

from vaeline.artifacts import atomic_file
from vaeline.data.picture_files import find_picture_files
from vaeline.images.limits import OWN
from vaeline.images.picture_array import read_into
from vaeline.images.pictures import read_picture
from vaeline.images.spec import ImageSpec

TABLE = Path(__file__).resolve().parents[1] / "benchmarks/reading.md"
SPEC = ImageSpec(height=64, width=64, channels=3, background="#808080")
MOST_PIXELS = OWN.pixels
MADE = 12_000
TIMES_AS_MANY = 4
HEAD = """\
{pictures}, each four times, fitted into 64 × 64 in colour, on {cores} cores. `loop`: Pillow opens, converts and
fits, in one process; `loops`: in {cores} processes at once. `reader`: the project's reader, in one process. `reading`: the
stage `fetch`, with all processors. The start of processes is included. Made by `python benchmarks/reading.py`.

| round | loop, images/s | loops, images/s | reading, images/s | reader ÷ loop | reading ÷ loops | CPU time: loops ÷ reading |
|---|---|---|---|---|---|---|
"""  # noqa: E501


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=TABLE)
    chosen = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as scratch:
        files = find_picture_files(chosen.folder or make_pictures(Path(scratch) / "made")).files
        many = files * TIMES_AS_MANY
        rounds = [measure_round(many, cores, Path(scratch) / str(number)) for number in range(chosen.rounds)]
        memory = [peak_mebibytes(some, Path(scratch) / f"memory-{len(some)}") for some in (files, many)]
    lines = [line(name, times, len(many)) for name, times in enumerate(rounds, 1)]
    lines.append(line("median", [statistics.median(times) for times in zip(*rounds, strict=True)], len(many)))
    pictures = (
        f"The {len(files):,} pictures of {chosen.folder.name}" if chosen.folder else f"{MADE:,} JPEGs of 160 × 120"
    )
    said = (
        f"\nMost memory of all processes, without mapped files: {memory[0]:,.0f} MiB for {len(files):,} pictures, "
        f"{memory[1]:,.0f} MiB for {len(files) * TIMES_AS_MANY:,}.\n"
    )
    with atomic_file(chosen.out) as temporary:
        temporary.write_text(HEAD.format(pictures=pictures, cores=cores) + "".join(lines) + said, encoding="utf-8")
    print(chosen.out.read_text(encoding="utf-8"))


def make_pictures(folder: Path) -> Path:
    """Smooth pictures in colour with some noise, as JPEG."""
    rng = np.random.default_rng(1)
    folder.mkdir()
    for row in range(MADE):
        smooth = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype="uint8")).resize((160, 120))
        noisy = np.clip(np.asarray(smooth) + rng.normal(0, 8, (120, 160, 3)), 0, 255).astype("uint8")
        Image.fromarray(noisy).save(folder / f"{row:05}.jpg", quality=90)
    return folder


def measure_round(files: Sequence[Path], cores: int, cache: Path) -> tuple[float, ...]:
    """Seconds of the loop, of the loops at once, of read_picture and of the reading; then the CPU time of each."""
    timed = [
        seconds(lambda: read_all_plainly(files)),
        seconds(
            lambda: list(get_reusable_executor(cores).map(read_all_plainly, [files[n::cores] for n in range(cores)]))
        ),
        seconds(lambda: sum(len(read_picture(file, SPEC, MOST_PIXELS)) > 0 for file in files)),
        seconds(lambda: read_into(tuple(files), SPEC, MOST_PIXELS, cache)),
    ]
    return (*(wall for wall, _ in timed), *(cpu for _, cpu in timed))


def read_all_plainly(files: Sequence[Path]) -> int:
    """The number of pictures read."""
    return sum(len(read_plainly(file)) > 0 for file in files)


def read_plainly(file: Path) -> np.ndarray:
    """A picture as the shortest code with Pillow reads it."""
    with Image.open(file) as picture:
        fitted = ImageOps.pad(picture.convert("RGB"), (SPEC.width, SPEC.height), Image.Resampling.LANCZOS, "#808080")
        return np.asarray(fitted)


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall seconds, and CPU seconds of this process and of the reading processes, their start included."""
    began, before = time.perf_counter(), os.times()
    work()
    wall = time.perf_counter() - began
    get_reusable_executor().shutdown()  # the CPU seconds of processes that have ended are counted
    return wall, sum(os.times()[:4]) - sum(before[:4])


def peak_mebibytes(files: Sequence[Path], cache: Path) -> float:
    """The most memory of this process and its reading processes, less the memory-mapped files."""
    sizes, ended = [], threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            sizes.append(sum(map(own_bytes, [psutil.Process(), *psutil.Process().children(recursive=True)])))

    watcher = threading.Thread(target=watch)
    watcher.start()
    read_into(tuple(files), SPEC, MOST_PIXELS, cache)
    ended.set()
    watcher.join()
    return max(sizes) / 2**20


def own_bytes(process: psutil.Process) -> int:
    """The resident memory of a process, less its mapped files; 0 if it has ended."""
    try:
        found = process.memory_info()
    except psutil.NoSuchProcess:
        return 0
    return found.rss - found.shared


def line(name: object, times: Sequence[float], count: int) -> str:
    loop, loops, one, whole, _, loops_cpu, _, whole_cpu = times
    rates = " | ".join(f"{count / time:,.0f}" for time in (loop, loops, whole))
    return f"| {name} | {rates} | {loop / one:.2f} | {loops / whole:.2f} | {loops_cpu / whole_cpu:.2f} |\n"


if __name__ == "__main__":
    main()
