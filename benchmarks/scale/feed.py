"""Measure how well the loop of a training feeds the device: images a second, against a step on data that is there.

    python benchmarks/scale/feed.py [PRESET ...]     default: resmlp-2d, photos-64; prints a table

The loop is that of the training: random rows of prepared data in a mapped file, the changes that the preset makes to
them, its steps, and the means of each step. The other figure is that of the same compiled step on one batch that is on
the device, its results not read. Both are measured in turns in one process, after a round that is not counted. On JAX
(KERAS_BACKEND=jax) several steps are one call; on a GPU set compute.device in params.yaml.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import ops

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from training_speed import ROOT, read_preset

from vaeline.compute import use_device, use_precision
from vaeline.params.whole import Params, read_params
from vaeline.training.batches import Examples
from vaeline.training.fit import shown_batches, start
from vaeline.training.steps import steps_of

PRESETS = {"resmlp-2d": (28, 28, 1), "photos-64": (64, 64, 3)}
BATCHES = 64
ROUNDS = 5


def main() -> None:
    device = use_device(read_params(ROOT / "params.yaml").compute)
    print(f"On {device}.\n\n| preset | batch | the loop, images/s | a step on data that is there | loop ÷ step |")
    print("|---|---|---|---|---|")
    for preset in sys.argv[1:] or PRESETS:
        params = read_preset(preset)
        use_precision(params.compute.precision)
        with tempfile.TemporaryDirectory() as folder:
            loop, step = measure(params, random_images(Path(folder), PRESETS.get(preset, (28, 28, 1)), params))
        print(f"| `{preset}` | {params.train.batch_size} | {loop:,.0f} | {step:,.0f} | {loop / step:.2f} |", flush=True)


def random_images(folder: Path, shape: tuple[int, ...], params: Params) -> Examples:
    """Random pictures in a mapped file; an epoch has `BATCHES` batches."""
    count = BATCHES * params.train.batch_size
    images = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype="uint8", shape=(count, *shape))
    images[:] = np.random.default_rng(1).integers(0, 256, images.shape, dtype="uint8")
    return Examples(images, np.zeros(count, int))


def measure(params: Params, examples: Examples) -> tuple[float, float]:
    """Images a second of the loop, and of a step on data that is there: medians of `ROUNDS` rounds."""
    model = start(examples, 1, params.model, params.train).model
    steps, step = steps_of(model, training=True), step_on_device(model, examples, params)
    seconds: dict[str, list[float]] = {"loop": [], "step": []}
    for epoch in range(ROUNDS + 1):
        batches = shown_batches(model, examples, params.train, epoch)
        seconds["loop"].append(seconds_of(lambda batches=batches: list(steps(batches))))
        seconds["step"].append(seconds_of(step))
    return tuple(len(examples.images) / statistics.median(times[1:]) for times in seconds.values())


def step_on_device(model: keras.Model, examples: Examples, params: Params) -> Callable[[], object]:
    """A function that runs `BATCHES` steps on the first batch, which is on the device."""
    first = next(iter(shown_batches(model, examples, params.train, 0)))
    if keras.backend.backend() == "tensorflow":
        images = ops.convert_to_tensor(first.images)
        model.make_train_function()
        return lambda: [model.train_function(iter([(images,)])) for _ in range(BATCHES)]
    from vaeline.training import scan

    call = scan.compile_steps(model, training=True)
    images = ops.convert_to_tensor(np.stack([first.images] * scan.STEPS_A_CALL))
    state = [tuple([variable.value + 0 for variable in group] for group in scan.state_variables(model, training=True))]

    def run() -> None:
        for _ in range(BATCHES // scan.STEPS_A_CALL):
            state[0], logs = call(state[0], (images,))
        ops.convert_to_numpy(logs["loss"])  # waits

    return run


def seconds_of(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
