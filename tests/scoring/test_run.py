"""A large source, scored by real Ray processes that are killed."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from conftest import ROOT

from vaeline.archive import save_archive
from vaeline.images.arrays import to_unit
from vaeline.scoring.score import Rules, Scorer

pytest.importorskip("ray", reason="Ray is not installed; `make setup SCALE=1` installs it")

SCORE = """
import json, sys
from pathlib import Path
from vaeline.models.archive import load_model
from vaeline.params.compute import ComputeParams
from vaeline.scoring.inputs import find_inputs
from vaeline.scoring.outputs import Outputs
from vaeline.scoring.run import Places, score_source
from vaeline.scoring.score import Rules, Scorer

model, source, target, workers = json.loads(sys.argv[1])
rules = Rules({}, "neg_elbo", 200.0, 1, False, True)
places = Places(workers, ComputeParams(threads=1, device="cpu", precision="float32", workers=1))
scorer = Scorer(load_model(Path(model)), rules)
score_source(scorer, find_inputs(source), Outputs(target), 20, places, {"model": "small"})
"""
PIECES, PATIENCE = 90, 300

pytestmark = pytest.mark.usefixtures("training", "processes")


@pytest.fixture
def command(small_model, digits, tmp_path):
    save_archive(small_model, tmp_path / "model.keras")
    np.save(tmp_path / "digits.npy", digits.images)
    arguments = json.dumps([*(str(tmp_path / name) for name in ("model.keras", "digits.npy", "scores")), 2])
    return [sys.executable, "-c", SCORE, arguments]


def start(command):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def wait_for(pieces, folder, process):
    end = time.monotonic() + PATIENCE
    while len(list(folder.glob("part-*.parquet"))) < pieces:
        assert time.monotonic() < end
        assert process.poll() is None, "it ended too early"
        time.sleep(0.02)


def test_every_image_has_one_row_though_a_worker_and_then_the_command_were_killed(
    command, small_model, digits, tmp_path
):
    scores = tmp_path / "scores"
    first = start(command)
    wait_for(3, scores, first)
    family = psutil.Process(first.pid).children(recursive=True)
    workers = [process for process in family if "ray::MapWorker" in " ".join(process.cmdline())]
    workers[0].send_signal(signal.SIGKILL)
    wait_for(12, scores, first)
    for process in (psutil.Process(first.pid), *psutil.Process(first.pid).children(recursive=True)):
        process.send_signal(signal.SIGKILL)
    first.wait()
    done = {file.name: file.stat().st_mtime_ns for file in scores.glob("part-*.parquet")}
    assert 12 <= len(done) < PIECES
    assert start(command).wait(PATIENCE) == 0
    assert {name: (scores / name).stat().st_mtime_ns for name in done} == done
    table = pq.read_table(scores).to_pandas().sort_values("row")
    assert list(table["row"]) == list(range(len(digits.images)))
    assert table["input"].nunique() == len(digits.images)
    loop = Scorer(small_model, Rules({}, "neg_elbo", 200.0, 1, invert=False, latents=True))
    from vaeline.anomaly.one_class import scores_and_latents

    plain, z_mean = scores_and_latents(loop.model, to_unit(digits.images), 1, {})
    for name in loop.names:
        np.testing.assert_allclose(table[name], plain[name], rtol=1e-4)
    np.testing.assert_allclose(np.stack(table["z_mean"]), z_mean, atol=1e-5)
    summary = json.loads((scores / "_summary.json").read_text())
    assert (summary["written"], summary["unreadable"]) == (len(digits.images), 0)
