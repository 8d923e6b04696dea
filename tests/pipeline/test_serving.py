"""The registered model, used without this repository: in a clean process and over HTTP, with pickle forbidden."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from mlflow.utils.file_utils import local_file_uri_to_path

from vaeline.models.archive import load_model

SCRIPT = """
import sys, json, numpy as np, mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
import vaeline
assert "/artifacts/model/code/vaeline/" in vaeline.__file__, vaeline.__file__
images = np.load("images.npy")
answers = {mode: model.predict(images, {"mode": mode}) for mode in ("reconstruct", "encode", "score")}
answers["decode"] = model.predict(images[:1], {"mode": "decode", "latents": [0.0] * 4})
answers["sample"] = model.predict(images[:1], {"mode": "sample", "n": 3, "seed": 5, "temperature": 0.5})
answers["default"] = model.predict(images)
json.dump(answers, open("answers.json", "w"))
"""


@pytest.fixture(scope="module")
def source(finished):
    (version,) = finished.client().search_model_versions()
    return local_file_uri_to_path(version.source)


@pytest.fixture(scope="module")
def images(finished):
    return np.load(finished.root / "data/prepared/test_images-00000.npy")[:4].astype("float32") / 255


def clean_environment(**more):
    kept = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "DVC_ROOT"}}
    path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}  # MLflow runs uvicorn by its name
    return kept | path | more | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def check(answers, finished, images):
    model = load_model(finished.root / "models/vae.keras")
    close = {"atol": 1e-5, "rtol": 1e-5}
    np.testing.assert_allclose(answers["reconstruct"]["images"], model.reconstruct(images), **close)
    np.testing.assert_allclose(answers["encode"]["z_mean"], model.encode(images)[0], **close)
    np.testing.assert_allclose(answers["decode"]["images"], model.decode(np.zeros((2, 2), "float32")), **close)
    np.testing.assert_allclose(answers["sample"]["images"], model.sample(3, 5, 0.5), **close)
    score = answers["score"]
    np.testing.assert_allclose(score["neg_elbo"], np.add(score["reconstruction"], score["kl"]), rtol=1e-5)


def test_it_loads_in_a_clean_process_and_answers_every_mode(finished, source, images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    command = [sys.executable, "-I", "-c", SCRIPT, source]
    subprocess.run(command, cwd=tmp_path, env=clean_environment(), check=True)
    answers = json.loads((tmp_path / "answers.json").read_text())
    check(answers, finished, images)
    assert answers["default"] == answers["reconstruct"]


def test_nothing_in_it_is_a_pickle(finished, source):
    files = [name for _, _, names in os.walk(source) for name in names]
    assert "vae.keras" in files
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".cloudpickle"))]


def test_mlflow_serves_the_champion_and_bad_input_gets_a_sentence(finished, promoted, images, tmp_path):
    finished.client(promoted).set_registered_model_alias("vae-digits", "best", "1")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["-m", "models:/vae-digits@best", "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    log = (tmp_path / "log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "models", "serve", *arguments],
        cwd=tmp_path,
        env=clean_environment(MLFLOW_TRACKING_URI=promoted),
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/ping", server, tmp_path / "log")
        asked = {
            mode: {"inputs": images.tolist(), "params": {"mode": mode}} for mode in ("reconstruct", "encode", "score")
        }
        asked["decode"] = {"inputs": images[:1].tolist(), "params": {"mode": "decode", "latents": [0.0] * 4}}
        sampling = {"mode": "sample", "n": 3, "seed": 5, "temperature": 0.5}
        asked["sample"] = {"inputs": images[:1].tolist(), "params": sampling}
        answers = {mode: ask(url, body)[1]["predictions"] for mode, body in asked.items()}
        check(answers, finished, images)
        for body, sentence in (
            ({"inputs": images.tolist(), "params": {"mode": "paint"}}, "mode 'paint' is unknown"),
            ({"inputs": (images * 255).tolist()}, "pixels must be between 0 and 1"),
            ({"inputs": images[:, :5].tolist()}, "does not match expected shape (-1, 28, 28, 1)"),
            ({"inputs": images.tolist(), "params": {"mode": "decode"}}, "decode takes the parameter latents"),
            ({"inputs": images[:1].tolist(), "params": {"mode": "sample", "n": 0}}, "n must be 1 to 10000"),
        ):
            status, answer = ask(url, body)
            assert status == 400, answer
            assert sentence in json.dumps(answer)
    finally:
        server.terminate()
        server.wait(30)


def ask(url, body):
    request = urllib.request.Request(
        f"{url}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=600) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def wait_for(url, server, log):
    for _ in range(240):
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            assert server.poll() is None, log.read_text()
            time.sleep(0.5)
    raise AssertionError(log.read_text())
