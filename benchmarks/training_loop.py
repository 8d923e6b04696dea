"""Measure the seconds of an epoch: the training loop with and without XLA, and `fit` on a generator with XLA.

    python benchmarks/training_loop.py [ARCHITECTURE ...]      needs data/prepared (dvc repro prepare)

Each runs in its own process, because TensorFlow's generator op changes how the whole process returns memory.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from vaeline.compute import fix_threads
from vaeline.data.prepared import read_prepared
from vaeline.params.whole import read_params
from vaeline.training.batches import Examples, shuffled_batches
from vaeline.training.fit import start

WAYS = ("loop", "loop-xla", "fit-xla")
EPOCHS = 4


def main() -> None:
    print("| network | loop | loop, XLA | fit on a generator, XLA | loop ÷ loop, XLA | fit ÷ loop, XLA |")
    print("|---|---|---|---|---|---|")
    for architecture in sys.argv[1:] or ["resmlp", "mlp", "conv"]:
        command = [sys.executable, __file__, "--measure", architecture]
        seconds = [float(subprocess.check_output([*command, way], text=True).split()[-1]) for way in WAYS]
        plain, compiled, fitted = seconds
        times = " | ".join(f"{value:.1f} s" for value in seconds)
        print(f"| `{architecture}` | {times} | {plain / compiled:.2f} | {fitted / compiled:.2f} |", flush=True)


def measure(architecture: str, way: str) -> float:
    """Median seconds of an epoch after the first."""
    params = read_params()
    fix_threads(params.compute.threads)
    split = read_prepared(Path("data/prepared")).splits["train"]
    train_set = Examples(split.images, split.labels)
    model_params = params.model.model_copy(update={"architecture": architecture})
    train = params.train.model_copy(update={"jit_compile": way.endswith("xla")})
    model = start(train_set, 10, model_params, train).model
    seconds = []
    for epoch in range(EPOCHS):
        began = time.perf_counter()
        (fit if way.startswith("fit") else loop)(model, train_set, train.batch_size, epoch)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def loop(model, train_set: Examples, batch_size: int, epoch: int) -> None:
    for batch in shuffled_batches(train_set, batch_size, 1, epoch):
        model.train_on_batch(batch.images)


def fit(model, train_set: Examples, batch_size: int, epoch: int) -> None:
    batches = ((batch.images,) for batch in shuffled_batches(train_set, batch_size, 1, epoch))
    model.fit(batches, steps_per_epoch=-(-len(train_set.images) // batch_size), shuffle=False, verbose=0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(measure(*sys.argv[2:]))
    else:
        main()
