"""An S3 server on loopback: batches are read from it, and scores are read from it and written to it."""

import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from vaeline.ingestion.arrivals import arrivals, at_hand
from vaeline.scoring.inputs import find_inputs
from vaeline.scoring.outputs import Outputs
from vaeline.scoring.score import Rules, Scorer

moto = pytest.importorskip("moto.server", reason="moto is not installed; `make setup SCALE=1` installs it")
s3fs = pytest.importorskip("s3fs")

pytestmark = pytest.mark.usefixtures("processes")


@pytest.fixture
def bucket(monkeypatch):
    """`s3://shared`, an empty bucket."""
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {"ENDPOINT_URL": f"http://{host}:{port}", "DEFAULT_REGION": "us-east-1"}
    for name, value in (settings | {"ACCESS_KEY_ID": "anybody", "SECRET_ACCESS_KEY": "anything"}).items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem()
    files.mkdir("shared")
    yield files
    files.rm("shared", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture
def images(digits, tmp_path):
    np.save(tmp_path / "digits.npy", digits.images[:50])
    return tmp_path / "digits.npy"


def test_batches_arrive_from_a_bucket(bucket, images, tmp_path):
    bucket.put(str(images), "shared/incoming/monday/digits.npy")
    bucket.put(str(images), "shared/incoming/.partial.npy")
    (arrival,) = arrivals("s3://shared/incoming")
    assert (arrival.name, arrival.origin) == ("monday", "s3://shared/incoming/monday")
    with at_hand(arrival, tmp_path / "scratch") as batch:
        assert (batch / "digits.npy").read_bytes() == images.read_bytes()


def test_batches_arrive_from_a_remote_of_dvc(bucket, images, tmp_path, monkeypatch):
    bucket.put(str(images), "shared/incoming/monday.npy")
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for arguments in ("init --no-scm", "remote add store s3://shared"):
        subprocess.run([sys.executable, "-m", "dvc", *arguments.split(), "--quiet"], check=True)
    (arrival,) = arrivals("remote://store/incoming")
    with at_hand(arrival, tmp_path / "scratch") as batch:
        assert batch.read_bytes() == images.read_bytes()


@pytest.mark.usefixtures("training")
def test_scores_go_from_a_bucket_to_a_bucket(bucket, images, small_model):
    bucket.put(str(images), "shared/scans/digits.npy")
    scorer = Scorer(small_model, Rules({}, "neg_elbo", 200.0, 1, invert=False, latents=True))
    inputs, outputs = find_inputs("s3://shared/scans"), Outputs("s3://shared/scores")
    outputs.begin({"model": "small"})
    assert outputs.missing(3) == [0, 1, 2]
    for piece in range(3):
        outputs.write_piece(piece, scorer.table(inputs, 20 * piece, min(50, 20 * piece + 20)))
    assert outputs.missing(3) == []
    outputs.begin({"model": "small"})
    found = pq.read_table("shared/scores", filesystem=bucket)
    here = scorer.table(find_inputs(str(images)), 0, 50)
    assert found["row"].to_pylist() == list(range(50))
    np.testing.assert_allclose(found["neg_elbo"], here["neg_elbo"], rtol=1e-4)
