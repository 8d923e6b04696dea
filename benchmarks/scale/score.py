"""Score many images by `vaeline score`, and by a plain loop in one process; ratios within one run.

    python benchmarks/scale/score.py [--rows 200000] [--kill]       prints the table of benchmarks/scale/score.md

The images are MNIST's prepared training images, repeated, as one .npy. The model is the default one, untrained, with
two latents. Time is measured in the steady state: from the first finished piece to the last one, without the start of
Ray and of the processes. Memory is the highest sum over all processes of a run of what each has for itself (USS). With
`--kill`, a worker and then the command are killed during a further run, and its rows are compared with the loop's.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq

from vaeline.anomaly.one_class import fit_densities, image_statistics
from vaeline.archive import save_archive
from vaeline.artifacts import canonical_json
from vaeline.compute import fix_threads
from vaeline.data.prepared import read_prepared
from vaeline.images.arrays import to_unit
from vaeline.models.archive import load_model
from vaeline.models.build import build_model
from vaeline.params.compute import ComputeParams
from vaeline.params.whole import read_params
from vaeline.scoring.inputs import find_inputs
from vaeline.scoring.outputs import Outputs
from vaeline.scoring.run import Places, score_source
from vaeline.scoring.score import Rules, Scorer

ROOT = Path(__file__).resolve().parents[2]
A_PIECE = 2000
ON_CPU = ComputeParams(threads=1, device="cpu", precision="float32", workers=1)
SAMPLED_EVERY = 0.2  # seconds
FITTED_ON = 2000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--kill", action="store_true", help="kill a worker and the command, and compare the rows")
    parser.add_argument("--part", nargs=3, metavar=("FOLDER", "WORKERS", "TARGET"), help="score once, in this process")
    given = parser.parse_args()
    if given.part:
        folder, workers, target = given.part
        (loop if workers == "0" else by_ray)(Path(folder), int(workers), Path(target))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_source(folder, given.rows)
        lines = []
        for cores in sorted({1, os.cpu_count() or 1}):
            for workers, processes in ((0, cores), (cores, 1)):
                lines.append((workers, processes, *measured(folder, workers, given.rows, processes)))
                print(lines[-1], file=sys.stderr, flush=True)
        print(page(lines, given.rows))
        if given.kill:
            print(killed(folder, given.rows))


def page(lines: list[tuple[int, int, float, float]], rows: int) -> str:
    """The table: images a second, as a share of as many plain loops at once, and the highest memory."""
    loops = {processes: speed for workers, processes, speed, _ in lines if not workers}
    table = []
    for workers, processes, speed, memory in lines:
        what = f"`vaeline score --workers {workers}`" if workers else f"plain loops at once: {processes}"
        table.append(f"| {what} | {speed:,.0f} | {speed / loops[workers or processes]:.2f} | {memory:,.0f} |")
    head = f"| {rows:,} images of 28 × 28 | images/s | ÷ as many plain loops | MiB |\n|---|---|---|---|\n"
    return head + "\n".join(table) + "\n"


def make_source(folder: Path, rows: int) -> None:
    """`images.npy` with so many images, and `model.keras`."""
    train = read_prepared(ROOT / "data/prepared").splits["train"]
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", "uint8", (rows, *train.images.shape[1:]))
    for start in range(0, rows, len(train.images)):
        part = train.images[: rows - start]
        images[start : start + len(part)] = part
    params = read_params().model
    model = build_model(params, read_prepared(ROOT / "data/prepared").image, 10, 1)
    model.initialize(train.images, train.labels)
    save_archive(model, folder / "model.keras")


def scorer(folder: Path) -> Scorer:
    """The scorer of all runs."""
    fix_threads(1)
    model = load_model(folder / "model.keras")
    images = to_unit(np.load(folder / "images.npy", mmap_mode="r")[:FITTED_ON])
    densities = fit_densities(image_statistics(model, images, np.arange(len(images)), 1), 1)
    return Scorer(model, Rules(densities, "one_class", 5.0, 1, invert=False, latents=True))


def by_ray(folder: Path, workers: int, target: Path) -> None:
    """Score everything into `target` by Ray."""
    inputs = find_inputs(str(folder / "images.npy"))
    score_source(scorer(folder), inputs, Outputs(str(target)), A_PIECE, Places(workers, ON_CPU), {"model": "benchmark"})


def loop(folder: Path, workers: int, target: Path) -> None:
    """Score everything into `target` by a loop that does the same for each piece."""
    inputs, one = find_inputs(str(folder / "images.npy")), scorer(folder)
    target.mkdir()
    for piece, start in enumerate(range(0, len(inputs), A_PIECE)):
        pq.write_table(one.table(inputs, start, min(start + A_PIECE, len(inputs))), target / f"part-{piece:07}.parquet")


def measured(folder: Path, workers: int, rows: int, processes: int = 1) -> tuple[float, float]:
    """Images a second of some runs at once, without their starts, and the highest memory of the first in MiB."""
    targets = [folder / f"scores-{workers}-{processes}-{number}" for number in range(processes)]
    runs = [start(folder, workers, target) for target in targets]
    peak = Peak(runs[0].pid)
    if max(run.wait() for run in runs):  # waits for all of them
        sys.exit("a run failed:\n" + "".join(log_of(target).read_text(encoding="utf-8") for target in targets))
    speed = 0.0
    for target in targets:
        times = sorted(file.stat().st_mtime for file in target.glob("part-*.parquet"))
        speed += (rows - A_PIECE) / (times[-1] - times[0])
    return speed, peak.highest


def start(folder: Path, workers: int, target: Path) -> subprocess.Popen:
    """Start a run in a process of its own."""
    command = [sys.executable, __file__, "--part", str(folder), str(workers), str(target)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
    with log_of(target).open("w", encoding="utf-8") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)


def log_of(target: Path) -> Path:
    """What the run printed."""
    return target.with_suffix(".log")


class Peak:
    """The highest memory of a process and its children, in MiB."""

    def __init__(self, pid: int) -> None:
        self.highest, self.process = 0.0, psutil.Process(pid)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while self.process.is_running():
            self.highest = max(self.highest, sum(map(own_memory, family(self.process))) / 2**20)
            time.sleep(SAMPLED_EVERY)


def own_memory(process: psutil.Process) -> int:
    """The memory that a process shares with no other one; 0 if it has ended."""
    try:
        return process.memory_full_info().uss
    except psutil.Error:
        return 0


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and all its children."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def killed(folder: Path, rows: int) -> str:
    """Kill a worker and then the command, start it again, and compare its rows with those of the loop."""
    target, workers = folder / "killed", os.cpu_count() or 1
    first = start(folder, workers, target)
    pieces = -(-rows // A_PIECE)
    wait_for(target, pieces // 4)
    worker = next(each for each in family(psutil.Process(first.pid)) if "ray::MapWorker" in " ".join(each.cmdline()))
    worker.send_signal(signal.SIGKILL)
    wait_for(target, pieces // 2)
    for each in family(psutil.Process(first.pid)):
        each.send_signal(signal.SIGKILL)
    first.wait()
    left = pieces - len(list(target.glob("part-*.parquet")))
    if start(folder, workers, target).wait():
        sys.exit("the second start failed")
    found, plain = (pq.read_table(path).sort_by("row") for path in (target, folder / "scores-0-1-0"))
    differences = {
        name: float(np.abs(found[name].to_numpy() - plain[name].to_numpy()).max()) for name in ("neg_elbo", "one_class")
    }
    return (
        f"A worker was killed after a quarter of {pieces} pieces, the command after half of them; {left} were left. "
        f"After the second start: {len(found):,} rows, {len(set(found['row'].to_pylist())):,} distinct. Largest "
        f"difference to the loop: {canonical_json(differences).strip()}"
    )


def wait_for(target: Path, pieces: int) -> None:
    """Wait until so many pieces are there."""
    while len(list(target.glob("part-*.parquet"))) < pieces:
        time.sleep(0.05)


if __name__ == "__main__":
    main()
