import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from mlflow.models import Model

from vaeline.archive import save_archive
from vaeline.data.sources import MNIST_IMAGE
from vaeline.models.vae import VAE
from vaeline.pyfunc.package import package_pyfunc, pinned_requirements
from vaeline.registry.names import candidate_name


def test_names_follow_the_data_set():
    assert candidate_name("mnist") == "vae-mnist-candidates"


@pytest.mark.usefixtures("processes")
def test_packaging_needs_no_tensorflow(params, tmp_path):
    save_archive(VAE(params.model, MNIST_IMAGE), tmp_path / "vae.keras")
    script = (
        "import sys; from pathlib import Path; from vaeline.registry.candidates import package_pyfunc;"
        "package_pyfunc(Path('vae.keras'), Path('model')); assert 'tensorflow' not in sys.modules"
    )
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": "", "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)


def test_the_package_is_complete_pinned_and_says_what_it_takes(params, tmp_path):
    digest = save_archive(VAE(params.model, MNIST_IMAGE), tmp_path / "vae.keras")
    package_pyfunc(tmp_path / "vae.keras", tmp_path / "model")
    model = Model.load(tmp_path / "model")
    assert model.flavors["python_function"]["config"] == {"model_digest": digest}
    assert model.signature.inputs.inputs[0].type == np.dtype("float32")
    assert {spec.name for spec in model.signature.params} == {"mode", "n", "seed", "temperature", "label", "latents"}
    assert (tmp_path / "model/code/vaeline/models/vae.py").is_file()
    requirements = (tmp_path / "model/requirements.txt").read_text().split()
    assert all("==" in line for line in requirements)
    assert set(pinned_requirements()) <= set(requirements)
