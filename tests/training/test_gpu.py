"""A training on a GPU, compared with the same one on the CPU. It runs where a GPU is and JAX can use it."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

from vaeline.compute import takes_gpu

TRAIN = """
import json, sys
from pathlib import Path
from vaeline.compute import use_device, use_precision
from vaeline.data.prepared import read_prepared
from vaeline.params.whole import read_params
from vaeline.sweeps.plan import with_values
from vaeline.training.batches import Examples
from vaeline.training.fit import fit, start

values, prepared, folder = json.loads(sys.argv[1])
params = with_values(read_params(), values)
device = use_device(params.compute)
use_precision(params.compute.precision)
data = read_prepared(Path(prepared))
train, validation = (Examples(data.splits[name].images, data.splits[name].labels) for name in ("train", "validation"))
progress = start(train, 10, params.model, params.train, data.image)
_, history = fit(progress, train, validation, params.train, Path(folder), lambda row: None)
print(json.dumps({"device": device, "history": history}))
"""
TOLERANCES = {"float32": 0.002, "bfloat16": 0.02}  # of losses, as a share

pytestmark = pytest.mark.skipif(not takes_gpu("auto"), reason="no GPU, or `make setup GPU=1` was not run")


@pytest.fixture
def train(prepared_directory, tmp_path):
    """Trains three epochs in a process of its own; returns what it took and its history."""

    def train(device, precision="float32"):
        values = {"compute.device": device, "compute.precision": precision, "train.epochs": 3, "train.min_kl": 0.0}
        values |= {"model.architecture": "resconv", "model.width": 16, "model.depth": 1, "model.latent_dim": 8}
        arguments = json.dumps([values, str(prepared_directory), str(tmp_path / f"{device}-{precision}")])
        environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT / "src")}
        command = [sys.executable, "-c", TRAIN, arguments]
        output = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
        return json.loads(output.splitlines()[-1])

    return train


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.usefixtures("training", "processes")
def test_a_training_on_a_gpu_has_the_losses_of_one_on_the_cpu(train, precision):
    cpu, gpu = train("cpu"), train("gpu", precision)
    assert cpu["device"].startswith("cpu")
    assert not gpu["device"].startswith("cpu")
    for row, other in zip(cpu["history"], gpu["history"], strict=True):
        for name in ("loss", "val_loss", "reconstruction"):
            assert other[name] == pytest.approx(row[name], rel=TOLERANCES[precision])
