"""Seconds an epoch of the training loop with and without XLA, and of `fit` on a generator, side by side in one run.

python benchmarks/training_loop.py [ARCHITECTURE ...]      needs data/prepared (dvc repro prepare)
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vaeline.compute import fix_threads
from vaeline.data.prepared import read_prepared
from vaeline.params import read_params
from vaeline.training.batches import shuffled_batches
from vaeline.training.fit import start

ROUNDS = 4


def main() -> None:
    params = read_params()
    fix_threads(params.compute.threads)
    images = read_prepared(Path("data/prepared")).splits["train"].images
    print("| network | loop | loop, XLA | fit on a generator, XLA | loop ÷ loop, XLA | fit ÷ loop, XLA |")
    print("|---|---|---|---|---|---|")
    for architecture in sys.argv[1:] or ["resmlp", "mlp", "conv"]:
        model_params = params.model.model_copy(update={"architecture": architecture})
        ways: dict[str, Callable[[int], None]] = {}
        for name, jit, run in (("loop", False, loop), ("loop, XLA", True, loop), ("fit, XLA", True, fit)):
            train = params.train.model_copy(update={"jit_compile": jit})
            model = start(images, model_params, train).model
            ways[name] = lambda epoch, run=run, model=model: run(model, images, params.train.batch_size, epoch)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for epoch in range(ROUNDS):
            for name, run in ways.items():
                began = time.perf_counter()
                run(epoch)
                seconds[name].append(time.perf_counter() - began)
        plain, compiled, fitted = (statistics.median(values[1:]) for values in seconds.values())
        times = " | ".join(f"{value:.1f} s" for value in (plain, compiled, fitted))
        print(f"| `{architecture}` | {times} | {plain / compiled:.2f} | {fitted / compiled:.2f} |", flush=True)


def loop(model, images: np.ndarray, batch_size: int, epoch: int) -> None:
    for batch in shuffled_batches(images, batch_size, 1, epoch):
        model.train_on_batch(batch)


def fit(model, images: np.ndarray, batch_size: int, epoch: int) -> None:
    batches = ((batch,) for batch in shuffled_batches(images, batch_size, 1, epoch))
    model.fit(batches, steps_per_epoch=-(-len(images) // batch_size), shuffle=False, verbose=0)


if __name__ == "__main__":
    main()
