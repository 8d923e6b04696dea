"""Exported files answer as the model does, and describe what they take."""

import json
import sys

import numpy as np
import pytest
from models.kinds.test_kinds import CODEBOOK, settings

from vaeline.errors import VaelineError
from vaeline.evaluation.inference import encode
from vaeline.evaluation.noise import latent_noise
from vaeline.export.files import FORMATS, ask, compare_answers, export_model
from vaeline.export.parts import parts_of
from vaeline.images.spec import ImageSpec
from vaeline.kinds import known_kinds, known_likelihoods
from vaeline.likelihood.bounds import elbo_scores
from vaeline.models.build import build_model

GREY, COLOUR = ImageSpec(height=8, width=8, channels=1), ImageSpec(height=12, width=9, channels=3, fit="crop")
CONV = {"architecture": "conv"}
MODELS = {
    "autoencoder": (GREY, {"kind": "autoencoder"}),
    "cvae": (GREY, {"kind": "cvae", "prior": {"kind": "label"}}),
    "iwae, vamp": (GREY, {"kind": "iwae", "prior": {"kind": "vamp"}}),
    "vae, colour": (COLOUR, CONV | {"normalization": "batch", "likelihood": "discretized_logistic"}),
    "vae, flow": (GREY, {"prior": {"kind": "flow"}}),
    "vae, mixture": (GREY, {"prior": {"kind": "mixture"}}),
    "vqvae": (COLOUR, CONV | {"kind": "vqvae", "prior": {"kind": "autoregressive", "layers": 1}}),
}
CLOSE = {"rtol": 1e-4, "atol": 1e-4}
DIGEST = "a" * 64


def build(params, image, changes):
    """An untrained model, initialized with images of noise."""
    model = build_model(settings(params, {"codebook": CODEBOOK, **changes}), image, 3, 1)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (30, *image.shape), dtype="uint8"), np.arange(30) % 3
    model.initialize(images, labels)
    model.fit_prior(images, labels)
    return model


def draw(image, count):
    return np.random.default_rng(1).random((count, *image.shape), dtype="float32")


def test_every_kind_is_exported():
    assert {changes.get("kind", "vae") for _, changes in MODELS.values()} == set(known_kinds())


@pytest.mark.parametrize("name", MODELS)
def test_onnx_runtime_answers_as_the_model_does(params, tmp_path, name):
    image, changes = MODELS[name]
    model = build(params, image, changes)
    exported = export_model(model, DIGEST, tmp_path / "exported", "onnx")
    assert [part.path.name for part in exported] == ["encoder.onnx", "decoder.onnx", "score.onnx"]
    assert all(part.size > 1000 and 0 < part.seconds < 1 for part in exported)
    encoder, decoder, score = (FORMATS["onnx"].open(part.path) for part in exported)
    for count in (1, 5):
        images, labels, rows = draw(image, count), np.arange(count) % 3, np.arange(count)
        given = {"images": images} | ({"label": labels} if model.is_conditional else {})
        z_mean, z_log_var = encode(model, images, labels)
        encoded = encoder(given)
        np.testing.assert_allclose(encoded["z_mean"], z_mean, **CLOSE)
        if model.noise_dim:
            np.testing.assert_allclose(encoded["z_log_var"], z_log_var, **CLOSE)
        assert set(encoded) == {"z_mean"} | ({"z_log_var"} if model.noise_dim else set()) | (
            {"codes"} if model.has_codes else set()
        )
        np.testing.assert_allclose(decoder({"z": z_mean})["images"], model.decode(z_mean), **CLOSE)
        noise = {"noise": latent_noise(4, rows, 1, model.noise_dim)[:, 0]} if model.noise_dim else {}
        scores, expected = score(given | noise), elbo_scores(model, images, rows, 4, labels)
        assert set(scores) == set(expected)
        for key, values in expected.items():
            np.testing.assert_allclose(scores[key], values, **CLOSE, err_msg=key)


@pytest.mark.parametrize("likelihood", known_likelihoods())
def test_the_score_of_every_likelihood_is_exported(params, tmp_path, likelihood):
    model = build(params, COLOUR, {"likelihood": likelihood})
    score = parts_of(model)[2]
    FORMATS["onnx"].write(score, tmp_path / "score.onnx", {})
    asked = {name: values for name, values in ask(model).items() if name in score.takes}
    expected = {name: np.asarray(values) for name, values in score(asked).items()}
    compare_answers("score", expected, FORMATS["onnx"].open(tmp_path / "score.onnx")(asked))


def test_a_saved_model_answers_likewise(params, tmp_path):
    model = build(params, GREY, {})
    exported = export_model(model, DIGEST, tmp_path / "exported", "savedmodel")
    images = draw(GREY, 2)
    found = FORMATS["savedmodel"].open(exported[0].path)({"images": images})
    np.testing.assert_allclose(found["z_mean"], model.encode(images)[0], **CLOSE)


def test_the_files_say_how_a_picture_becomes_an_input(params, tmp_path):
    import onnx

    model = build(params, COLOUR, {})
    export_model(model, DIGEST, tmp_path / "exported", "onnx")
    about = json.loads((tmp_path / "exported/vaeline.json").read_text())
    expected = {"height": 12, "width": 9, "channels": 3, "fit": "crop", "background": "#000000", "ink": False}
    expected |= {"model_sha256": DIGEST, "title": "vae, resmlp, 4-D", "likelihood": "bernoulli", "latent_dim": 4}
    assert expected.items() <= about.items()
    assert about["score"]["inputs"].keys() == {"images", "noise"}
    file = onnx.load(tmp_path / "exported/score.onnx")
    metadata = {entry.key: entry.value for entry in file.metadata_props}
    assert metadata["width"] == "9"
    assert metadata["binarize"] == "false"
    assert metadata["outputs.neg_elbo"] == about["score"]["outputs"]["neg_elbo"]
    assert {part.name for part in file.graph.input} == {"images", "noise"}


def test_files_that_answer_otherwise_are_not_written(params, tmp_path, monkeypatch):
    monkeypatch.setattr("vaeline.export.files.TOLERANCE", 0.0)
    with pytest.raises(VaelineError, match=r"gives other values of \w+ than the model, so nothing was written"):
        export_model(build(params, GREY, {}), DIGEST, tmp_path / "exported", "onnx")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named_with_the_extra(params, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(
        VaelineError, match="--format onnx needs the packages of vaeline's extra `export`, and tf2onnx is"
    ):
        export_model(build(params, GREY, {}), DIGEST, tmp_path / "exported", "onnx")
