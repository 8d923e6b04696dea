"""Measure the memory of every stage of the pipeline for N images and for ten times as many.

    python benchmarks/scale/memory.py [--images 60000] [--stages fetch,prepare]     prints the table of memory.md

Each stage is a process of its own, in a clone of this repository's last commit with a data set of two strokes an image,
five of six images for training. The memory is the highest sum of what the process and its children have beside mapped
files; what a child shares with its parent counts once (`Pss_Anon`). The networks are small and train for one epoch.
`profile` and `score` are commands, measured in their place. `--stages` measures some and runs what they need.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from jaxtyping import Integer, UInt8

from vaeline.data.sources import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from vaeline.images.idx import write_idx
from vaeline.params.whole import change_params

ROOT = Path(__file__).resolve().parents[2]
DATASET, SCANS = "data/own/strokes", "scans.npy"
SIDE, POINTS, CLASSES, DRAWN_AT_ONCE = 28, 24, 10, 2000
SAMPLED_EVERY = 0.05  # seconds
CLI = (sys.executable, "-m", "vaeline.cli")
COMMANDS = {
    "fetch": (sys.executable, "pipeline/fetch.py"),
    "prepare": (sys.executable, "pipeline/prepare.py"),
    "profile": (*CLI, "profile", "data/prepared", "--name", "strokes"),
    "validate": (sys.executable, "pipeline/validate.py"),
    "classify": (sys.executable, "pipeline/classify.py"),
    "train": (sys.executable, "pipeline/train.py"),
    "evaluate": (sys.executable, "pipeline/evaluate.py"),
    "plot": (sys.executable, "pipeline/plot.py"),
    "score": (*CLI, "score", SCANS, "scores", "--threshold", "5"),
}
SMALL = {
    "data.dataset": DATASET,
    "classify.epochs": 1,
    "classify.width": 4,
    "classify.batch_size": 512,
    "classify.min_accuracy": 0.0,
    "model.width": 32,
    "model.depth": 1,
    "model.latent_dim": 4,
    "train.epochs": 1,
    "train.batch_size": 512,
    "train.min_kl": 0.0,
    "evaluate.nll_images": 100,
    "evaluate.nll_samples": 10,
    "evaluate.reference_images": 1000,
    "evaluate.restoration_images": 20,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--stages", default=",".join(COMMANDS))
    given = parser.parse_args()
    counts = (given.images, 10 * given.images)
    found = {count: measure(count, given.stages.split(",")) for count in counts}
    print(page(found))


def page(found: dict[int, dict[str, float]]) -> str:
    """The table: the highest memory of each stage in MiB by the number of images, and the ratio."""
    few, many = found
    heads = f"| stage | {few:,} images, MiB | {many:,} images, MiB | ratio |\n|---|---|---|---|\n"
    return heads + "".join(
        f"| `{stage}` | {least:,.0f} | {found[many][stage]:,.0f} | {found[many][stage] / least:.2f} |\n"
        for stage, least in found[few].items()
    )


def measure(count: int, wanted: list[str]) -> dict[str, float]:
    """The highest memory of the wanted stages in MiB. All stages before the last wanted one run."""
    last = max(list(COMMANDS).index(stage) for stage in wanted)
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch) / "vaeline"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        change_params(SMALL, clone / "params.yaml")
        draw_data_set(clone, count)
        for stage in list(COMMANDS)[: last + 1]:
            began = time.monotonic()
            highest = peak(COMMANDS[stage], clone)
            print(count, stage, f"{highest:,.0f} MiB, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            if stage in wanted:
                found[stage] = highest
    return found


def peak(command: tuple[str, ...], folder: Path) -> float:
    """The highest memory of a command and its children in MiB."""
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = psutil.Popen(command, cwd=folder, env=environment, stdout=sys.stderr)
    highest = 0
    while process.poll() is None:
        highest = max(highest, sum(map(anonymous, [process, *process.children(recursive=True)])))
        time.sleep(SAMPLED_EVERY)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed")
    return highest / 1024


def anonymous(process: psutil.Process) -> int:
    """The memory of a process that is no mapped file, in KiB; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:"))


def draw_data_set(clone: Path, count: int) -> None:
    """Write IDX files of `count` images, one of six for tests, and the training images as `scans.npy`.

    The label of an image is the direction of one of its two strokes.
    """
    tests, folder, scans = count // 6, clone / DATASET, clone / SCANS
    folder.mkdir()
    for images, labels, number in ((TEST_IMAGES, TEST_LABELS, tests), (TRAIN_IMAGES, TRAIN_LABELS, count - tests)):
        rng = np.random.default_rng(number)
        classes = rng.integers(CLASSES, size=number).astype("uint8")
        drawn = np.lib.format.open_memmap(scans, "w+", "uint8", (number, SIDE, SIDE))
        for start in range(0, number, DRAWN_AT_ONCE):
            part = slice(start, start + DRAWN_AT_ONCE)
            another = rng.integers(CLASSES, size=len(classes[part]))
            drawn[part] = np.maximum(draw_strokes(classes[part], rng), draw_strokes(another, rng))
        write_idx(folder / images, drawn)
        write_idx(folder / labels, classes)


def draw_strokes(
    classes: Integer[np.ndarray, " count"], rng: np.random.Generator
) -> UInt8[np.ndarray, "count {SIDE} {SIDE}"]:
    """Curves with four random control points, turned by the class: images (count, side, side), light on black."""
    t = np.linspace(0, 1, POINTS)
    weights = np.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    start = np.array([[-9, 0], [-3, 5], [3, -5], [9, 0]])
    points = np.einsum("cp,nck->npk", weights, start + rng.normal(0, 2.5, (len(classes), 4, 2)))
    angles = classes * (np.pi / CLASSES)
    x = points[..., 0] * np.cos(angles)[:, None] - points[..., 1] * np.sin(angles)[:, None]
    y = points[..., 0] * np.sin(angles)[:, None] + points[..., 1] * np.cos(angles)[:, None]
    places = np.arange(SIDE) - (SIDE - 1) / 2
    rows, columns = (np.exp(-((places[:, None] - line[:, None]) ** 2) / 2) for line in (y, x))
    return np.rint(255 * np.clip(rows @ columns.swapaxes(1, 2), 0, 1)).astype("uint8")


if __name__ == "__main__":
    main()
