import shutil
import time
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import keras
import pytest
from keras.src.saving import saving_lib

from vaeline.archive import save_archive
from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError
from vaeline.models.archive import load_model
from vaeline.models.vae import VAE


class Later(datetime):
    """A clock that is a day ahead."""

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(days=1)


@pytest.fixture(scope="module", params=["conv", "mlp", "resmlp"])
def model(params, request) -> VAE:
    keras.utils.set_random_seed(3)
    settings = params.model.model_dump() | {"architecture": request.param, "width": 16, "depth": 1, "latent_dim": 3}
    model = VAE(settings | {"normalization": "batch"}, MNIST_IMAGE, seed=3)
    model.compile(optimizer="adam")
    return model


@pytest.fixture(scope="module")
def archive(model, tmp_path_factory) -> tuple[Path, str]:
    """The model's archive and its digest."""
    file = tmp_path_factory.mktemp("archive") / "a.keras"
    return file, save_archive(model, file)


def test_equal_models_are_equal_bytes_at_any_time(model, archive, tmp_path, monkeypatch):
    file, first = archive
    monkeypatch.setattr(time, "time", lambda: 2e9)  # read by zipfile
    monkeypatch.setattr(saving_lib, "datetime", SimpleNamespace(datetime=Later))  # read by Keras
    assert save_archive(model, tmp_path / "b.keras") == first
    assert save_archive(load_model(file), tmp_path / "c.keras") == first


def test_a_changed_file_is_not_loaded(archive, tmp_path):
    file, digest = archive
    shutil.copy(file, tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras", "a") as changed:
        changed.writestr("more", "x")
    with pytest.raises(VaelineError, match="the file was changed"):
        load_model(tmp_path / "model.keras", digest)


def test_other_weights_are_other_bytes(model, archive, tmp_path):
    model.encoder.get_layer("z_mean").bias.assign_add([1e-6, 0, 0])
    assert save_archive(model, tmp_path / "a.keras") != archive[1]


def test_what_is_no_model_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(VaelineError, match="no such model"):
        load_model(tmp_path / "a.keras")
    (tmp_path / "a.keras").write_text("no")
    with pytest.raises(VaelineError, match="not a vaeline model archive"):
        load_model(tmp_path / "a.keras")
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    other.save(tmp_path / "b.keras")
    with pytest.raises(VaelineError, match="holds a Sequential, not a GenerativeModel"):
        load_model(tmp_path / "b.keras")


def test_code_in_an_archive_is_refused(tmp_path):
    layer = keras.layers.Lambda(lambda x: x)
    keras.Sequential([keras.Input((2,)), layer]).save(tmp_path / "a.keras")
    with pytest.raises(VaelineError, match="not a vaeline model archive"):
        load_model(tmp_path / "a.keras")
