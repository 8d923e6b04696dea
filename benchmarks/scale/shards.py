"""Compare shards of .npy files with Arrow and Parquet files: random batches, and all images in their order.

    python benchmarks/scale/shards.py [--images 200000]     prints the table of benchmarks/scale/shards.md

Images are 28 × 28 noise. Times are CPU seconds of this process, the least of three rounds, with files in the page
cache; Parquet is read once.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vaeline.images.lazy import LazyImages

SHAPE, BATCH, BATCHES, PART, ROUNDS = (28, 28, 1), 128, 200, 4096, 3
SHARDS = (1, 10, 100)
GROUP = 2048  # images of a row group of Parquet, and of a batch of Arrow

Read = Callable[[slice | np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=200_000)
    count = parser.parse_args().images
    images = np.random.default_rng(0).integers(0, 256, (count, *SHAPE), dtype="uint8")
    order = np.random.default_rng(1).permutation(count)[: BATCH * BATCHES]
    print(
        f"| {count:,} images of 28 × 28 | ms for a random batch of {BATCH} | million images/s in order |\n|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as scratch:
        for name, read in readers(images, Path(scratch)):
            rounds = 1 if "Parquet" in name else ROUNDS
            batches = order[: BATCH * 3] if "Parquet" in name else order
            random = [batches[start : start + BATCH] for start in range(0, len(batches), BATCH)]
            ordered = [slice(start, start + PART) for start in range(0, count, PART)]
            slow, fast = (min(seconds(read, parts) for _ in range(rounds)) for parts in (random, ordered))
            print(f"| {name} | {1000 * slow / len(random):.2f} | {count / fast / 1e6:.2f} |", flush=True)


def readers(images: np.ndarray, folder: Path):
    """What reads the images from each kind of files."""
    for number in SHARDS:
        files = [folder / f"{number}-{shard}.npy" for shard in range(number)]
        for file, part in zip(files, np.array_split(images, number), strict=True):
            np.save(file, part)
        stored = LazyImages.stored([np.asarray(np.load(file, mmap_mode="r")) for file in files])
        yield f".npy, {number} shard{'s' if number > 1 else ''}", stored.__getitem__
    flat = pa.FixedSizeListArray.from_arrays(pa.array(images.ravel()), images[0].size)
    table = pa.table({"image": flat})
    with pa.OSFile(str(folder / "images.arrow"), "wb") as stream, pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table, GROUP)
    mapped = pa.ipc.open_file(pa.memory_map(str(folder / "images.arrow"))).read_all()
    yield "Arrow, memory-mapped", lambda rows: of_arrow(taken(mapped, rows))
    pq.write_table(table, folder / "images.parquet", row_group_size=GROUP, compression="zstd")
    yield "Parquet", lambda rows: of_parquet(pq.ParquetFile(folder / "images.parquet"), rows)


def taken(table: pa.Table, rows: slice | np.ndarray) -> pa.Table:
    """These rows of a table."""
    return table.slice(rows.start, rows.stop - rows.start) if isinstance(rows, slice) else table.take(rows)


def of_arrow(table: pa.Table) -> np.ndarray:
    """The images of a table."""
    chunks = [chunk.flatten().to_numpy() for chunk in table["image"].chunks]
    return np.concatenate(chunks).reshape(-1, *SHAPE)


def of_parquet(file: pq.ParquetFile, rows: slice | np.ndarray) -> np.ndarray:
    """These rows of a file, of which whole row groups must be read."""
    numbers = np.arange(rows.start, min(rows.stop, file.metadata.num_rows)) if isinstance(rows, slice) else rows
    groups, places = np.unique(numbers // GROUP, return_inverse=True)
    return of_arrow(file.read_row_groups(groups.tolist()).take(places * GROUP + numbers % GROUP))


def seconds(read: Read, parts: list) -> float:
    """The CPU seconds to read all parts."""
    began = time.process_time()
    for part in parts:
        read(part).sum(axis=0)
    return time.process_time() - began


if __name__ == "__main__":
    main()
