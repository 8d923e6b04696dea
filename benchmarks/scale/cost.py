"""Model what it costs to grow, from constants that are measured here on one and on two cores.

    python benchmarks/scale/cost.py --measure     writes constants.json; ten minutes with nothing else running
    python benchmarks/scale/cost.py               prints the tables of cost.md, and draws docs/pictures/growth.png

The model is the sum of a start and of a time for each image, trial or step. Each constant is the median or the slope of
what was measured. cost.md names the assumptions about more machines than the one that was measured.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import memory
import numpy as np
import score
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vaeline.artifacts import write_json
from vaeline.data.prepared import read_prepared
from vaeline.figures.canvas import save_figure
from vaeline.models.build import build_model
from vaeline.params.whole import change_params, read_params
from vaeline.sweeps.plan import SweepPlan, with_values

ROOT = Path(__file__).resolve().parents[2]
CONSTANTS = Path(__file__).with_name("constants.json")
FIGURE = ROOT / "docs/pictures/growth.png"

FEW, MANY = 20_000, 100_000  # images of the measurement
TRIALS = 4
BATCH = 512
QUICK = {
    "train.epochs": 3,
    "train.batch_size": BATCH,
    "train.min_kl": 0.0,
    "compute.threads": 1,
    "compute.device": "cpu",
}
PLAN = {
    "metric": "val_neg_elbo",
    "trials": TRIALS,
    "seed": 1,
    "search": "random",
    "early_stopping": None,
    "space": {"train.learning_rate": {"low": 0.0005, "high": 0.005, "log": True}},
}

NETWORK = 1.25e9  # bytes a second between machines, and from a store: 10 Gbit/s
LATENCY = 1e-4  # seconds of a message between machines
EPOCHS = 24
BYTES = 28 * 28
HOUR = 3600
SIZES = (1, 8, 64)  # workers, or trials at once
BATCHES = (BATCH, 8 * BATCH, 64 * BATCH)


@dataclass(frozen=True)
class Constants:
    """Seconds; by the number of cores where two were measured. `weights` are the bytes of the gradient."""

    prepare_start: dict[str, float]
    prepare_image: dict[str, float]
    score_image: dict[str, float]
    train_start: dict[str, float]
    train_step: dict[str, float]
    trial: dict[str, float]
    weights: int


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--measure", action="store_true")
    parser.add_argument(
        "--part", nargs=3, metavar=("WHAT", "PREPARED", "CORES"), help="one measurement, in this process"
    )
    given = parser.parse_args()
    if given.part:
        what, prepared, cores = given.part
        found = {"train": train, "sweep": sweep}[what](Path(prepared), int(cores))
        print(json.dumps(found))
        return
    if given.measure:
        write_json(CONSTANTS, asdict(measure()), decimals=9)
    constants = Constants(**json.loads(CONSTANTS.read_text(encoding="utf-8")))
    print(page(constants))
    save_figure(draw(constants), FIGURE)


def measure() -> Constants:
    """Measure all constants, each on one and on two cores."""
    found: dict[str, dict[str, float]] = {name: {} for name in ("start", "image", "score", "begin", "step", "trial")}
    weights = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        score.make_source(folder, FEW)
        for cores in (1, 2):
            seconds = {count: prepare(folder / f"{count}-{cores}", count, cores) for count in (FEW, MANY)}
            found["image"][str(cores)] = slope = (seconds[MANY] - seconds[FEW]) / (MANY - FEW)
            found["start"][str(cores)] = seconds[FEW] - slope * FEW
            found["score"][str(cores)] = 1 / score.measured(folder, cores, FEW)[0]
            prepared = folder / f"{FEW}-{cores}/data/prepared"
            trained = part("train", prepared, cores)
            found["begin"][str(cores)], found["step"][str(cores)] = trained["start"], trained["step"]
            weights = trained["weights"]
            found["trial"][str(cores)] = part("sweep", prepared, cores)
            print(cores, {name: values[str(cores)] for name, values in found.items()}, file=sys.stderr, flush=True)
    return Constants(*found.values(), weights=weights)


def prepare(clone: Path, count: int, cores: int) -> float:
    """Seconds of the stages up to `validate` for `count` images in a new clone."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    change_params({"data.dataset": memory.DATASET}, clone / "params.yaml")
    memory.draw_data_set(clone, count)
    seconds = 0.0
    for stage in ("fetch", "prepare", "profile", "validate"):
        began = time.perf_counter()
        subprocess.run(
            memory.COMMANDS[stage],
            cwd=clone,
            env=on_cores(clone),
            check=True,
            stdout=sys.stderr,
            preexec_fn=lambda: os.sched_setaffinity(0, range(cores)),
        )
        seconds += (stage != "profile") * (time.perf_counter() - began)
    return seconds


def part(what: str, prepared: Path, cores: int) -> Any:
    """One measurement in a process of its own, with so many cores."""
    command = [sys.executable, __file__, "--part", what, str(prepared), str(cores)]
    environment = on_cores(ROOT) | ({"KERAS_BACKEND": "jax"} if what == "train" else {})
    output = subprocess.check_output(
        command, cwd=ROOT, env=environment, text=True, preexec_fn=lambda: os.sched_setaffinity(0, range(cores))
    )
    return json.loads(output.splitlines()[-1])


def on_cores(folder: Path) -> dict[str, str]:
    """The environment of a process with the code in `folder`."""
    return os.environ | {"PYTHONPATH": str(folder / "src"), "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}


def train(prepared: Path, workers: int) -> dict[str, float]:
    """Seconds until the first of three epochs has ended, less the second one; seconds of a step; bytes of weights."""
    from vaeline.training.workers import Job, train_on_workers

    params = with_values(read_params(ROOT / "params.yaml"), QUICK | {"compute.workers": workers})
    ends, began = [], time.perf_counter()
    job = Job(params.model, params.train, params.compute, prepared, prepared.parent / f"checkpoint-{workers}")
    train_on_workers(job, False, "", lambda row: ends.append(time.perf_counter() - began))
    images = len(read_prepared(prepared).splits["train"].labels)
    epoch = ends[-1] - ends[-2]
    model = build_model(params.model, read_prepared(prepared).image, 10, 1)
    return {"start": ends[0] - epoch, "step": epoch * BATCH / images, "weights": 4 * model.count_params()}


def sweep(prepared: Path, at_once: int) -> float:
    """Seconds of a trial beside its training: from the first start to the last end, as a share of trials in a row."""
    from vaeline.sweeps.search import Job, search

    seen: list[float] = []

    class Clock:
        def resumed(self, trials: list) -> None: ...
        def progressed(self, trial: object) -> None: ...
        def began(self, trial: object) -> None:
            seen.append(time.perf_counter())

        def ended(self, trial: object) -> None:
            seen.append(time.perf_counter())

    params = with_values(read_params(ROOT / "params.yaml"), QUICK | {"train.epochs": 1})
    folder = prepared.parent / f"trials-{at_once}"
    search(
        Job(params, PLAN["metric"], prepared, folder), SweepPlan.model_validate(PLAN | {"at_once": at_once}), Clock()
    )
    return (seen[-1] - seen[0]) / math.ceil(TRIALS / at_once)


def prepare_seconds(constants: Constants, images: float, cores: int) -> float:
    """One machine reads, splits and validates all images."""
    return constants.prepare_start[str(cores)] + constants.prepare_image[str(cores)] * images


def score_seconds(constants: Constants, images: float, workers: int) -> float:
    """Pieces need nothing of each other, so workers add up until the store is the limit."""
    together = constants.score_image["1" if workers == 1 else "2"] * (1 if workers == 1 else 2)
    return max(images * together / workers, images * BYTES / NETWORK)


def train_seconds(constants: Constants, images: float, workers: int, batch: int = BATCH) -> float:
    """Each step computes a part of the batch, and then adds up the gradient in a ring."""
    compute = constants.train_step["1"] / BATCH * batch / workers
    return constants.train_start["2"] + EPOCHS * images / batch * (compute + reduce_seconds(constants, workers))


def reduce_seconds(constants: Constants, workers: int) -> float:
    """A ring sends twice the gradient, less its own part, in 2 (workers − 1) messages (Patarasuk & Yuan 2009)."""
    if workers == 1:
        return 0.0
    shared = max(0.0, constants.train_step["2"] - constants.train_step["1"] / 2)  # on one machine
    ring = 2 * (workers - 1) / workers * constants.weights / NETWORK + 2 * (workers - 1) * LATENCY
    return max(shared, ring)


def sweep_seconds(constants: Constants, trials: int, slots: int, images: float = 60_000) -> float:
    """Trials of the default training without early stopping, as many at once as there are slots."""
    alone = constants.trial["1"] + EPOCHS * images / BATCH * constants.train_step["1"]
    return math.ceil(trials / slots) * alone


def useful_workers(constants: Constants, batch: int) -> float:
    """The number of workers at which a step adds up gradients for as long as it computes."""
    return constants.train_step["1"] / BATCH * batch / reduce_seconds(constants, 2)


def page(constants: Constants) -> str:
    """The tables: the constants, durations by size, and where more workers stop to help."""
    rows = [
        ("fetch, prepare and validate, µs an image", constants.prepare_image, 1e6),
        ("score, µs an image", constants.score_image, 1e6),
        (f"a training step of {BATCH} images, ms", constants.train_step, 1e3),
        ("start of a training with workers, s", constants.train_start, 1),
        ("a trial of one epoch, s", constants.trial, 1),
    ]
    lines = ["| constant | one core | two cores | speed of two ÷ one |", "|---|---|---|---|"]
    for name, values, unit in rows:
        one, two = values["1"], values["2"]
        lines.append(f"| {name} | {unit * one:,.1f} | {unit * two:,.1f} | {one / two:.2f} |")
    lines += ["", "| images | on disk | prepare | score, by workers: 1 / 8 / 64 | train | train, batches × 8 |"]
    lines.append("|---|---|---|---|---|---|")
    for images in (6e4, 1e6, 1e7, 1e8, 1e9):
        cells = [
            f"{images:,.0f}",
            f"{2 * images * BYTES / 1e9:,.1f} GB",
            duration(prepare_seconds(constants, images, 2)),
            *(
                " / ".join(duration(seconds(workers)) for workers in SIZES)
                for seconds in (
                    lambda workers, images=images: score_seconds(constants, images, workers),
                    lambda workers, images=images: train_seconds(constants, images, workers, BATCH),
                    lambda workers, images=images: train_seconds(constants, images, workers, 8 * BATCH),
                )
            ),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| trials | 1 at once | 8 | 64 |", "|---|---|---|---|"]
    for trials in (12, 100, 1000):
        cells = [duration(sweep_seconds(constants, trials, slots)) for slots in SIZES]
        lines.append(f"| {trials:,} | {' | '.join(cells)} |")
    workers = ", ".join(f"{useful_workers(constants, batch):.1f} ({batch:,})" for batch in BATCHES)
    scorers = NETWORK / BYTES * 2 * constants.score_image["2"]
    lines += ["", f"Workers of a training that compute as long as they add up, by batch: {workers}."]
    lines.append(f"Workers of `vaeline score` that one network of 10 Gbit/s feeds: {scorers:.0f}.")
    return "\n".join(lines) + "\n"


def duration(seconds: float) -> str:
    """A duration in the unit that people would use."""
    for unit, size in (("d", 24 * HOUR), ("h", HOUR), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.0f} s"


def draw(constants: Constants) -> Figure:
    """Hours by the number of images, of workers and of trials."""
    figure = Figure(figsize=(11, 8), layout="constrained")
    left, right, below, last = figure.subplots(2, 2).flat
    images, workers = np.geomspace(2e4, 1e9, 60), np.arange(1, 65)
    for cores in (1, 2):
        _line(left, images, [prepare_seconds(constants, count, cores) for count in images], f"cores: {cores}")
    for count in SIZES:
        _line(right, images, [score_seconds(constants, every, count) for every in images], f"workers: {count}")
        trials = np.unique(np.geomspace(1, 1000, 60).astype(int))
        _line(last, trials, [sweep_seconds(constants, int(each), count) for each in trials], f"at once: {count}")
    for batch in BATCHES:
        _line(
            below,
            workers,
            [train_seconds(constants, 1e7, int(each), batch) for each in workers],
            f"batches of {batch:,}",
        )
    for axes in (left, right):
        axes.axvspan(images[0], MANY, color="0.9", label="measured")
        axes.set(xlabel="images of 28 × 28")
    below.axvspan(1, 2, color="0.9", label="measured")
    left.set_title("fetch, prepare, validate, on one machine")
    right.set_title("score")
    below.set(title=f"train {EPOCHS} epochs of 10 million images", xlabel="workers")
    last.set(title="a sweep of default trainings, without early stopping", xlabel="trials")
    for axes in (left, right, below, last):
        axes.set(xscale="log", yscale="log", ylabel="hours")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle("Cost by size: measured on two cores, beyond that computed (benchmarks/scale/cost.md)")
    return figure


def _line(axes: Axes, x: Sequence[float] | np.ndarray, seconds: Sequence[float], label: str) -> None:
    axes.plot(x, np.array(seconds) / HOUR, label=label)


if __name__ == "__main__":
    main()
