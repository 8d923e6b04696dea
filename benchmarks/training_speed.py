"""Measure the speed of training steps of presets for pictures, and its share of what matrix products reach.

    python benchmarks/training_speed.py [PRESET ...]      default: photos-64, photos-64-vq; prints a table

A step is that of the training, on random pictures of 64 × 64 × 3. The operations are counted from the layers of
encoder, decoder and the transformer of codes: two for each weight and place, and twice as many again for the gradients
of weights and of inputs; four for each number of a value and each place that attention reads. Losses, activations, the
codebook and the optimizer are not counted. The peak is that of a product of two matrices of 2,048 × 2,048 float32 with
as many threads, before and after.
"""

import math
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import ops
from ruamel.yaml import YAML

from vaeline.compute import fix_threads
from vaeline.models.kinds.vqvae.code_prior import CodePrior
from vaeline.params.base import flatten, load
from vaeline.params.whole import Params, change_params, read_params
from vaeline.training.batches import Examples
from vaeline.training.fit import start

ROOT = Path(__file__).resolve().parent.parent
PRESETS = ("photos-64", "photos-64-vq")
SHAPE = (64, 64, 3)
IMAGES = 320
STEPS = 20
SIDE = 2048
FORWARD_AND_BACKWARD = 3


def main() -> None:
    fix_threads(read_params(ROOT / "params.yaml").compute.threads)
    print("| preset | images a second | GFLOP an image | GFLOP/s | of the matrix product, GFLOP/s | share |")
    print("|---|---|---|---|---|---|")
    for preset in sys.argv[1:] or PRESETS:
        before = product_speed()
        images_a_second, operations = step_speed(preset)
        peak = max(before, product_speed())
        speed = images_a_second * operations
        cells = f"{images_a_second:.0f} | {operations / 1e9:.2f} | {speed / 1e9:.0f} | {peak / 1e9:.0f}"
        print(f"| `{preset}` | {cells} | {speed / peak:.0%} |", flush=True)


def step_speed(preset: str) -> tuple[float, float]:
    """Images a second of training steps, and floating-point operations an image."""
    params = read_preset(preset)
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (IMAGES, *SHAPE), dtype="uint8")
    model = start(Examples(images, np.zeros(IMAGES, int)), 1, params.model, params.train).model
    batch = (images[: params.train.batch_size] / np.float32(255)).astype("float32")
    seconds = seconds_of(lambda: model.train_on_batch(batch))
    operations = sum(operations_of(network) for network in (model.encoder, model.decoder))
    if model.has_codes:
        operations += operations_of_prior(model.prior)
    return len(batch) / seconds, FORWARD_AND_BACKWARD * operations


def read_preset(preset: str) -> Params:
    """The parameters of `params.yaml` with those of a preset."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "params.yaml"
        shutil.copy(ROOT / "params.yaml", file)
        for name in ("default", preset):
            change_params(flatten(load(ROOT / f"presets/{name}.yaml", YAML(typ="safe"))), file)
        return read_params(file)


def operations_of(network: keras.Model) -> int:
    """Operations of a forward pass of one image: a multiplication and an addition for each weight and place."""
    total = 0
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dense | keras.layers.Conv2D | keras.layers.Conv2DTranspose):
            grid = layer.input if isinstance(layer, keras.layers.Conv2DTranspose) else layer.output
            places = math.prod(grid.shape[1:-1])
            total += 2 * math.prod(layer.kernel.shape) * places
    return total


def operations_of_prior(prior: CodePrior) -> int:
    """Operations of the log-probability of one image's codes."""
    kernels = sum(math.prod(weight.shape) for weight in prior.trainable_weights if weight.path.endswith("kernel"))
    return 2 * kernels * prior.length + 4 * len(prior.blocks) * prior.length**2 * prior.table.shape[1]


def product_speed() -> float:
    """Operations a second of a matrix product."""
    matrix = ops.convert_to_tensor(np.random.default_rng(1).random((SIDE, SIDE), dtype="float32"))
    return 2 * SIDE**3 / seconds_of(lambda: ops.convert_to_numpy(ops.matmul(matrix, matrix)))


def seconds_of(act: Callable[[], object]) -> float:
    """The median of `STEPS` times, after two that are not counted."""
    times = []
    for _ in range(STEPS + 2):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return statistics.median(times[2:])


if __name__ == "__main__":
    main()
