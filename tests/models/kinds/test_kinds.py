"""Every kind of model keeps to the one interface; a new one needs one file."""

import json
import os
import subprocess

import keras
import numpy as np
import pytest
from conftest import ROOT, first, train_once
from forking.programs import forked_python

from vaeline.archive import save_archive
from vaeline.data.sources import MNIST_IMAGE
from vaeline.evaluation.inference import encode, sample
from vaeline.kinds import known_kinds
from vaeline.likelihood.bounds import elbo_scores, importance_weighted_nll
from vaeline.models import kinds
from vaeline.models.archive import load_model
from vaeline.models.build import build_model
from vaeline.params.whole import parse_params
from vaeline.training.batches import Examples
from vaeline.training.fit import fit, start

ROWS = np.arange(40)
TRAIN = {"epochs": 3, "learning_rate": 0.005}
ONE_BLOCK = {"kind": "autoregressive", "layers": 1}
CODEBOOK = {"codes": 8, "decay": 0.9, "commitment": 0.25, "restart_below": 0.1}
VARIANTS = {
    "autoencoder": {"kind": "autoencoder"},
    "capacity": {"capacity": 5.0, "beta": 10.0},
    "cvae": {"kind": "cvae", "prior": {"kind": "label"}},
    "cvae_mixture": {"kind": "cvae", "prior": {"kind": "mixture"}, "binarize": True},
    "flow": {"prior": {"kind": "flow"}},
    "free_bits": {"free_bits": 0.5},
    "iwae": {"kind": "iwae", "prior": {"kind": "vamp"}},
    "mixture": {"prior": {"kind": "mixture"}},
    "resconv": {"architecture": "resconv", "likelihood": "calibrated_gaussian"},
    "vae": {"binarize": True, "normalization": "batch"},
    "vamp": {"prior": {"kind": "vamp"}},
    "vqvae": {"kind": "vqvae", "architecture": "resconv", "prior": ONE_BLOCK, "codebook": CODEBOOK},
}
SCRIPT = """
import json, sys
import numpy as np
from pathlib import Path
from vaeline.models.archive import load_model
images, labels = np.load("images.npy"), np.load("labels.npy")
for name, digest in json.loads(Path("digests.json").read_text()).items():
    model = load_model(Path(f"{name}.keras"), digest)
    z_mean, z_log_var = model.encode(images, labels)
    np.savez(f"{name}.npz", images=model.decode(z_mean), drawn=model.sample(5, 1), z_log_var=z_log_var)
"""


def settings(params, changes):
    """Model parameters with some changed, read as from a file."""
    values = params.model_dump(by_alias=True)
    small = {"architecture": "resmlp", "width": 8, "depth": 1, "latent_dim": 4}
    prior = values["model"]["prior"] | {"components": 4, "layers": 2, "width": 8} | changes.get("prior", {})
    values["model"] |= small | changes | {"prior": prior}
    return parse_params(values).model


@pytest.fixture(scope="module")
def trained(training, params, digits):
    """A small model of each variant, trained a little."""
    examples = first(Examples(digits.images, digits.labels), 960)
    models = {}
    for name, changes in VARIANTS.items():
        model = dict(settings(params, changes))
        models[name], history = train_once(f"family-{name}", params, examples, model, TRAIN)
        assert history[-1]["val_loss"] < history[0]["val_loss"], name
    return models


def test_every_kind_is_among_the_variants():
    assert {changes.get("kind", "vae") for changes in VARIANTS.values()} == set(known_kinds())


@pytest.mark.parametrize("name", VARIANTS)
def test_every_model_keeps_to_the_interface(trained, digits, greys, name):
    model, labels = trained[name], digits.labels[:40]
    z_mean, z_log_var = encode(model, greys, labels)
    assert z_mean.shape == (40, model.latent_dim)
    assert z_log_var.shape == (40, model.noise_dim)
    noise = np.random.default_rng(0).normal(size=z_log_var.shape).astype("float32")
    z = np.asarray(model.reparameterize(z_mean, z_log_var, noise))
    assert z.shape == z_mean.shape
    np.testing.assert_array_equal(z[:, model.noise_dim :], z_mean[:, model.noise_dim :])
    images = np.asarray(model.decode(z))
    assert images.shape == greys.shape
    assert 0 <= images.min() < images.max() <= 1
    assert np.asarray(model.log_prior(z)).shape == (40,)
    assert np.asarray(model.draw_latents(7, 1)).shape == (7, model.latent_dim)
    np.testing.assert_array_equal(sample(model, 7, 1), sample(model, 7, 1))
    assert model.params.kind in model.title
    assert (model.params.prior.kind in model.title) == (model.params.prior.kind != "normal" and name != "vqvae")
    if model.has_bound:
        assert np.asarray(model.rate(z, z_mean, z_log_var)).shape == (40,)


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "autoencoder"])
def test_nll_is_below_the_negative_elbo(trained, digits, greys, name):
    model, labels = trained[name], digits.labels[:40]
    negative_elbo = np.mean([elbo_scores(model, greys, ROWS, seed, labels)["neg_elbo"].mean() for seed in range(10)])
    bounds = [importance_weighted_nll(model, greys, ROWS, k, 1, labels).mean() for k in (1, 20, 200)]
    slack = 0.002 * abs(negative_elbo)
    assert bounds[2] <= bounds[1] + slack <= bounds[0] + 2 * slack
    assert bounds[2] < negative_elbo + slack


def test_a_clean_process_gives_the_same_outputs(trained, digits, greys, tmp_path):
    labels = digits.labels[:40]
    np.save(tmp_path / "images.npy", greys)
    np.save(tmp_path / "labels.npy", labels)
    digests = {name: save_archive(model, tmp_path / f"{name}.keras") for name, model in trained.items()}
    (tmp_path / "digests.json").write_text(json.dumps(digests))
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    subprocess.run([forked_python(), "-c", SCRIPT], cwd=tmp_path, env=environment, check=True)
    for name, model in trained.items():
        again = np.load(tmp_path / f"{name}.npz")
        z_mean, z_log_var = encode(model, greys, labels)
        np.testing.assert_allclose(again["images"], model.decode(z_mean), atol=1e-5, err_msg=name)
        np.testing.assert_allclose(again["drawn"], model.sample(5, 1), atol=1e-5, err_msg=name)
        np.testing.assert_allclose(again["z_log_var"], z_log_var, atol=1e-4, err_msg=name)


TOY = '''
import keras
from keras import ops
from vaeline.models.vae import VAE

@keras.saving.register_keras_serializable(package="toy")
class QuietVAE(VAE):
    """A VAE whose loss also asks for small latents."""

    def kl_cost(self, kl, z_mean, z_log_var, weight):
        return super().kl_cost(kl, z_mean, z_log_var, weight) + ops.mean(ops.square(z_mean))

MODEL = QuietVAE
'''


@pytest.mark.usefixtures("training")
def test_a_new_kind_is_one_file(params, digits, greys, tmp_path, monkeypatch):
    (tmp_path / "quiet").mkdir()
    (tmp_path / "quiet/model.py").write_text(TOY)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    assert "quiet" in known_kinds()
    model_params = settings(params, {"kind": "quiet"})
    changes = {"epochs": 2, "batch_size": 64, "min_kl": 0.0, "jit_compile": False, "learning_rate": 0.005}
    train = params.train.model_copy(update=changes)
    examples = first(Examples(digits.images, digits.labels), 640)
    progress = start(examples, 10, model_params, train)
    model, history = fit(progress, examples, first(examples, 100), train, tmp_path / "checkpoint", lambda row: None)
    assert history[-1]["val_loss"] > history[-1]["val_neg_elbo"]
    digest = save_archive(model, tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras", digest)
    assert type(again).__name__ == "QuietVAE"
    np.testing.assert_allclose(again.reconstruct(greys), model.reconstruct(greys), atol=1e-6)
    assert np.isfinite(elbo_scores(again, greys, ROWS, 1)["neg_elbo"]).all()


def test_capacity_holds_the_kl_and_free_bits_spare_it(params, greys):
    losses = {}
    for name, changes in {
        "plain": {},
        "capacity": {"capacity": 3.0, "beta": 2.0},
        "free_bits": {"free_bits": 4.0},
    }.items():
        keras.utils.set_random_seed(1)
        model = build_model(settings(params, changes), MNIST_IMAGE, 10, 1)
        model.compile(optimizer="adam", run_eagerly=True)
        losses[name] = model.test_on_batch(greys, return_dict=True)
    kl, reconstruction = losses["plain"]["kl"], losses["plain"]["reconstruction"]
    assert kl < 3
    assert losses["plain"]["loss"] == pytest.approx(reconstruction + kl, rel=1e-6)
    assert losses["capacity"]["loss"] == pytest.approx(reconstruction + 2 * (3 - kl), rel=1e-6)
    assert losses["free_bits"]["loss"] == pytest.approx(reconstruction + 4 * 4.0, rel=1e-6)
