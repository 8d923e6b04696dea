"""Every kind and architecture on small colour images that are not square, with sides that four does not divide."""

import json
import os
import subprocess

import numpy as np
import pytest
from conftest import ROOT
from forking.programs import forked_python
from models.kinds.test_kinds import CODEBOOK, ONE_BLOCK, settings

from vaeline.archive import save_archive
from vaeline.errors import VaelineError
from vaeline.evaluation.inference import encode
from vaeline.images.spec import ImageSpec, with_image
from vaeline.likelihood.bounds import elbo_scores, importance_weighted_nll
from vaeline.models.build import build_model
from vaeline.models.networks import grid_shape
from vaeline.pyfunc.answers import ModelRequest, answer
from vaeline.pyfunc.golden import golden_differences, make_golden
from vaeline.pyfunc.package import read_image_spec, signature_of

SPECS = (ImageSpec(height=12, width=8, channels=3), ImageSpec(height=7, width=9, channels=3))
ARCHITECTURES = ("conv", "mlp", "resconv", "resmlp")
KINDS = ("autoencoder", "cvae", "iwae", "vae", "vqvae")
MODELS = [(kind, network) for kind in KINDS for network in ARCHITECTURES if kind != "vqvae" or "conv" in network]
LIKELIHOODS = ("bernoulli", "calibrated_gaussian", "continuous_bernoulli", "gaussian", "mse")
LABELS = np.array([0, 1, 2, 1, 0])
SCRIPT = """
import json, sys
import numpy as np
from pathlib import Path
from vaeline.models.archive import load_model
images, labels = np.load("images.npy"), np.load("labels.npy")
for name in json.loads(Path("names.json").read_text()):
    model = load_model(Path(f"{name}.keras"))
    np.save(f"{name}.npy", model.reconstruct(images, labels))
"""


def build(params, kind, architecture, image, **changes):
    changes = {"kind": kind, "architecture": architecture, "latent_dim": 3, "width": 8} | changes
    if kind == "vqvae":
        changes |= {"prior": ONE_BLOCK, "codebook": CODEBOOK}
    return build_model(settings(params, changes), image, 3, 1)


def draw(image: ImageSpec, count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).random((count, *image.shape), dtype="float32")


def draw_scores(model, images: np.ndarray, draws: int) -> dict[str, np.ndarray]:
    """`elbo_scores` of five images with some draws of z for each: all draws are one batch."""
    return elbo_scores(model, np.tile(images, (draws, 1, 1, 1)), np.arange(5 * draws), 1, np.tile(LABELS, draws))


@pytest.mark.parametrize("image", SPECS, ids=str)
@pytest.mark.parametrize(("kind", "architecture"), MODELS)
def test_a_model_takes_and_gives_images_of_its_spec(params, kind, architecture, image):
    model, images = build(params, kind, architecture, image), draw(image)
    model.initialize(np.rint(255 * images).astype("uint8"), LABELS)
    z_mean, z_log_var = encode(model, images, LABELS)
    assert (z_mean.shape, z_log_var.shape) == ((5, model.latent_dim), (5, model.noise_dim))
    assert np.asarray(model.decode(z_mean)).shape == images.shape
    assert model.sample(4, 1).shape == (4, *image.shape)
    scores = draw_scores(model, images, 5)
    assert all(values.shape == (25,) for values in scores.values())
    if model.has_bound:
        bound = importance_weighted_nll(model, images, np.arange(5), 100, 1, LABELS).mean()
        assert bound <= scores["neg_elbo"].mean() + 0.01 * abs(bound)
    if model.has_codes:
        assert model.grid == grid_shape(image)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_a_model_trains_and_its_nats_run_over_all_channels(params, likelihood, training):
    (image, _), images = SPECS, draw(SPECS[0])
    model = build(params, "vae", "resconv", image, likelihood=likelihood)
    model.compile(optimizer="adam", run_eagerly=True)
    before = model.get_weights()
    assert np.isfinite(model.train_on_batch(images, return_dict=True)["loss"])
    assert any(np.any(old != new) for old, new in zip(before, model.get_weights(), strict=True))
    logits = np.asarray(model.decode_logits(np.zeros((5, 3), "float32")))
    by_channel = sum(
        np.asarray(model.likelihood.nll(images[..., [channel]], logits[..., [channel]])) for channel in range(3)
    )
    np.testing.assert_allclose(model.likelihood.nll(images, logits), by_channel, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("architecture", ["conv", "resconv"])
def test_a_convolutional_decoder_starts_at_the_mean_of_each_channel(params, architecture):
    model = build(params, "vae", architecture, SPECS[1])
    images = np.zeros((5, *SPECS[1].shape), "uint8") + np.array([26, 128, 230], "uint8")
    model.initialize(images, LABELS)
    logits = model.decoder.get_layer("logits")
    logits.kernel.assign(np.zeros(logits.kernel.shape))
    np.testing.assert_allclose(np.asarray(model.decode(np.zeros((1, 3), "float32")))[0], images[0] / 255, atol=1e-4)


def test_a_clean_process_and_a_package_answer_likewise(params, tmp_path, processes):
    image, images = SPECS[0], draw(SPECS[0])
    models = {kind: build(params, kind, "conv", image) for kind in KINDS}
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", LABELS)
    (tmp_path / "names.json").write_text(json.dumps(list(models)))
    for name, model in models.items():
        save_archive(model, tmp_path / f"{name}.keras")
        assert read_image_spec(tmp_path / f"{name}.keras") == image
        assert golden_differences(model, make_golden(model, images)) == []
        assert answer(model, ModelRequest("sample", count=2))["images"].shape == (2, *image.shape)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    subprocess.run([forked_python(), "-c", SCRIPT], cwd=tmp_path, env=environment, check=True)
    for name, model in models.items():
        again = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(again, model.reconstruct(images, LABELS), atol=1e-5, err_msg=name)


def test_the_signature_names_the_size_and_the_channels():
    (tensor,) = signature_of(SPECS[0]).inputs.inputs
    assert (tensor.shape, tensor.type) == ((-1, 12, 8, 3), np.dtype("float32"))


def test_archives_without_channels_hold_grey_models():
    assert with_image({"image_shape": [28, 20], "seed": 1}) == {
        "image": {"height": 28, "width": 20, "channels": 1},
        "seed": 1,
    }


def test_images_of_another_shape_get_a_sentence(params):
    with pytest.raises(ValueError, match=r"images must have shape \(n, 12, 8, 3\), got \(1, 12, 8, 1\)"):
        answer(build(params, "vae", "mlp", SPECS[0]), ModelRequest("encode", np.zeros((1, 12, 8, 1), "float32")))
    with pytest.raises(VaelineError, match="holds no images"):
        ImageSpec.of_shape((5, 12, 8, 2))
