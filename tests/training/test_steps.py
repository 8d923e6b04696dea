"""Batches are made ahead, and JAX runs many steps in one call and on several devices, with the same results."""

import itertools
import json
import os
import subprocess
import sys
import threading
from importlib.util import find_spec

import numpy as np
import pytest
from conftest import ROOT

from vaeline.training.batches import ahead

STEPS = """
import json, sys
import keras
import numpy as np
from pathlib import Path
from vaeline.data.prepared import read_prepared
from vaeline.params.whole import read_params
from vaeline.sweeps.plan import with_values
from vaeline.training import scan
from vaeline.training.batches import Examples, shuffled_batches
from vaeline.training.corruption import Shown
from vaeline.training.fit import start
from vaeline.training.steps import steps_of

prepared, at_once, devices, batches, file = json.loads(sys.argv[1])
scan.STEPS_A_CALL = at_once or 1
if devices > 1:
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    assert keras.distribution.distribution().device_mesh.backend_mesh.size == devices
compile_steps, divided = scan.compile_steps, []

def watched(model, *, training):
    call = compile_steps(model, training=training)

    def record(state, batches):
        divided.append(not batches[0].sharding.is_fully_replicated)
        return call(state, batches)

    return record

scan.compile_steps = watched
params = with_values(
    read_params(), {"model.width": 64, "model.depth": 1, "model.normalization": "batch", "train.batch_size": 96}
)
split = read_prepared(Path(prepared)).splits["train"]
examples = Examples(split.images[:250], split.labels[:250])
model = start(examples, 10, params.model, params.train).model
shown = [Shown(*batch, None) for batch in shuffled_batches(examples, 96, 1, 0)][:batches]
if at_once:
    steps = list(steps_of(model, training=True)(shown))
else:
    steps = [(len(images), model.train_on_batch(images, None, return_dict=True)) for images, _, _ in shown]
    steps = [(count, {name: float(mean) for name, mean in means.items()}) for count, means in steps]
np.savez(file, *model.get_weights(), *map(np.asarray, model.optimizer.variables))
print(json.dumps([steps, divided]))
"""

needs_jax = pytest.mark.skipif(not find_spec("jax"), reason="JAX is not installed; `make setup SCALE=1` adds it")


@pytest.fixture
def run_steps(prepared_directory, tmp_path):
    """Runs steps on JAX in a process; returns the counts and means of each, which calls were divided, all variables."""

    def run(*, at_once=1, devices=1, batches=3):
        file = tmp_path / f"{at_once}-{devices}-{batches}.npz"
        arguments = json.dumps([str(prepared_directory), at_once, devices, batches, str(file)])
        environment = os.environ | {
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
            "PYTHONPATH": str(ROOT / "src"),
        }
        command = [sys.executable, "-c", STEPS, arguments]
        output = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
        with np.load(file) as saved:
            return *json.loads(output.splitlines()[-1]), [saved[name] for name in saved.files]

    return run


def test_items_keep_their_order_and_are_made_before_they_are_asked_for():
    made, enough = [], threading.Event()

    def make():
        for number in range(5):
            made.append(number)
            if number == 2:
                enough.set()
            yield number

    items = ahead(make())
    assert next(items) == 0
    assert enough.wait(10), "nothing was made ahead"
    assert len(made) <= 4, "all was made at once"
    assert list(items) == [1, 2, 3, 4]


def test_what_goes_wrong_in_making_items_is_raised_where_they_are_used():
    def make():
        yield 1
        raise ValueError("broken")

    items = ahead(make())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_the_thread_ends_with_its_user():
    items = ahead(itertools.count())
    next(items)
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]


@needs_jax
@pytest.mark.usefixtures("training", "processes")
def test_many_steps_in_one_call_are_those_of_keras(run_steps):
    (single, _, values), (together, _, others) = run_steps(at_once=0), run_steps(at_once=2)
    assert [count for count, _ in single] == [count for count, _ in together] == [96, 96, 58]
    for (_, means), (_, found) in zip(single, together, strict=True):
        assert means == pytest.approx(found, rel=1e-5)
    for value, other in zip(values, others, strict=True):
        np.testing.assert_allclose(value, other, atol=1e-4)


@needs_jax
@pytest.mark.usefixtures("training", "processes")
def test_the_first_gradient_of_two_devices_is_that_of_one(run_steps):
    """After one step, Adam's first moment is a tenth of the gradient, so it is compared with a tenth of 1e-5."""
    (one, whole, values), (two, divided, others) = (run_steps(devices=devices, batches=1) for devices in (1, 2))
    assert (whole, divided) == ([False], [True])
    assert one[0][1] == pytest.approx(two[0][1], rel=1e-5)
    for value, other in zip(values, others, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-5, atol=1e-6)


@needs_jax
@pytest.mark.usefixtures("training", "processes")
def test_a_last_batch_that_cannot_be_divided_is_computed_whole(run_steps):
    (_, _, values), (_, divided, others) = run_steps(devices=1), run_steps(devices=4)
    assert divided == [True, True, False], "the last batch has 58 images"
    for value, other in zip(values, others, strict=True):
        np.testing.assert_allclose(value, other, atol=1e-4)
