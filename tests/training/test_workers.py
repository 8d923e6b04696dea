"""One training in two processes on two real nodes of Ray, which loses a process and then a node."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from conftest import ROOT

pytestmark = pytest.mark.skipif(
    not (find_spec("ray") and find_spec("jax")), reason="Ray or JAX is not installed; `make setup SCALE=1` adds both"
)

QUICK = {"architecture": "resmlp", "width": 32, "depth": 1, "normalization": "batch", "binarize": True}
EPOCHS = 4
TOLERANCE = 1e-3  # of a weight after the training; weights are of the order of 1
TRAIN = """
import json, sys
import numpy as np
import psutil
from pathlib import Path
from vaeline.compute import use_device
from vaeline.data.prepared import read_prepared
from vaeline.params.whole import read_params
from vaeline.sweeps.plan import with_values
from vaeline.training.batches import Examples
from vaeline.training.fit import fit, resume_or_start

values, prepared, folder = json.loads(sys.argv[1])
params = with_values(read_params(), values)
use_device(params.compute, params.compute.workers)
data, folder = read_prepared(Path(prepared)), Path(folder)
rows = []
if params.compute.workers > 1:
    from ray.cluster_utils import Cluster
    from vaeline.training.workers import Job, train_on_workers

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(3):
        cluster.add_node(num_cpus=1)

    def watch(row):
        rows.append(row["epoch"])
        family = psutil.Process().children(recursive=True)
        alive = [one for one in family if one.status() != psutil.STATUS_ZOMBIE]
        worker = next(one for one in alive if "RayTrainWorker" in " ".join(one.cmdline()))
        if row["epoch"] == 1:
            worker.kill()
        elif row["epoch"] == 2:
            assert "raylet" in worker.parent().name()
            worker.parent().kill()

    job = Job(params.model, params.train, params.compute, Path(prepared), folder / "checkpoint")
    train_on_workers(job, False, cluster.address, watch)
    cluster.shutdown()
train, validation = (Examples(data.splits[name].images, data.splits[name].labels) for name in ("train", "validation"))
progress = resume_or_start(folder / "checkpoint", train, 10, params.model, params.train, data.image)
ready = len(progress.history)
model, history = fit(progress, train, validation, params.train, folder / "checkpoint", lambda row: None)
np.savez(folder / "weights.npz", *model.get_weights())
left = [path.name for path in folder.iterdir() if path.is_dir()]
(folder / "result.json").write_text(json.dumps({"rows": rows, "ready": ready, "history": history, "left": left}))
"""


@pytest.fixture
def train(prepared_directory, tmp_path):
    """Trains in a process of its own; returns what it wrote, and the weights."""

    def train(workers):
        folder = tmp_path / str(workers)
        folder.mkdir()
        values = {f"model.{key}": value for key, value in QUICK.items()}
        values |= {"train.epochs": EPOCHS, "train.batch_size": 64, "train.min_kl": 0.0}
        values |= {"compute.workers": workers, "compute.threads": 1, "compute.device": "cpu"}
        arguments = json.dumps([values, str(prepared_directory), str(folder)])
        environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT / "src")}
        subprocess.run([sys.executable, "-c", TRAIN, arguments], cwd=ROOT, env=environment, check=True, timeout=600)
        with np.load(folder / "weights.npz") as weights:
            return json.loads((folder / "result.json").read_text()), [weights[name] for name in weights.files]

    return train


@pytest.mark.usefixtures("training", "processes")
def test_two_workers_that_lose_a_process_and_a_node_train_the_model_of_one(train):
    alone, weights = train(1)
    together, others = train(2)
    assert together["rows"] == [1, 2, 3, 4], "an epoch was told twice or never"
    assert together["ready"] == EPOCHS
    assert together["left"] == ["checkpoint"]
    for row, other in zip(alone["history"], together["history"], strict=True):
        assert row == pytest.approx(other, rel=1e-3)
    for value, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(value, other, atol=TOLERANCE)
    equal = all(np.array_equal(value, other) for value, other in zip(weights, others, strict=True))
    assert not equal, "each process computed whole batches: sums of their parts round in another way"
