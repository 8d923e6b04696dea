import itertools

import keras
import numpy as np
import pytest
from models.gradients import descend

from vaeline.data.sources import MNIST_IMAGE
from vaeline.models.build import build_model
from vaeline.models.kinds.iwae.model import importance_bound, scale_gradient
from vaeline.models.kinds.iwae.params import IwaeParams


def build(params, kind="iwae", samples=3, estimator="dreg", **changes):
    keras.utils.set_random_seed(2)
    small = {"kind": kind, "architecture": "resmlp", "width": 8, "depth": 1, "latent_dim": 2}
    importance = IwaeParams(samples=samples, estimator=estimator)
    return build_model(params.model.model_copy(update={**small, "iwae": importance, **changes}), MNIST_IMAGE, 10, 2)


def test_the_bound_is_minus_the_log_of_the_mean_weight():
    log_weights = np.random.default_rng(0).normal(size=(5, 7)).astype("float32")
    np.testing.assert_allclose(importance_bound(log_weights), -np.log(np.exp(log_weights).mean(axis=1)), rtol=1e-5)


def test_one_sample_is_the_vae(params, greys):
    """Its KL is estimated by the draw, so the losses are equal in the mean over many draws."""
    many = np.repeat(greys[:4], 2000, axis=0)
    losses = {}
    for kind in ("vae", "iwae"):
        model = build(params, kind, samples=1)
        model.compile(optimizer="adam", run_eagerly=True)
        model.encoder.get_layer("z_mean").bias.assign([1.0, -2.0])
        losses[kind] = model.test_on_batch(many, return_dict=True)
    assert losses["iwae"]["loss"] == pytest.approx(losses["iwae"]["neg_elbo"], rel=1e-6)
    for name in ("loss", "neg_elbo", "reconstruction"):
        assert losses["iwae"][name] == pytest.approx(losses["vae"][name], abs=0.1)
    assert losses["iwae"]["kl"] == pytest.approx(losses["vae"]["kl"], abs=0.05)


def test_the_bound_tightens_with_more_samples(params, greys):
    many = np.repeat(greys[:4], 250, axis=0)
    losses = []
    for samples in (1, 4, 20):
        model = build(params, samples=samples)
        model.decoder.get_layer("logits").kernel.assign(10 * model.decoder.get_layer("logits").kernel)
        model.compile(optimizer="adam", run_eagerly=True)
        losses.append(model.test_on_batch(many, return_dict=True))
    assert all(more["loss"] < fewer["loss"] - 0.1 for fewer, more in itertools.pairwise(losses))
    assert losses[2]["neg_elbo"] == pytest.approx(losses[0]["neg_elbo"], abs=4.0)


@pytest.mark.parametrize("prior", ["normal", "vamp", "flow"])
@pytest.mark.usefixtures("training")
def test_both_estimators_have_the_same_expectation(params, greys, prior):
    many, draws = np.repeat(greys[:2], 500, axis=0), 20
    changes = {"prior": params.model.prior.model_copy(update={"kind": prior, "components": 3, "layers": 2, "width": 4})}
    gradients = {}
    for estimator in ("plain", "dreg"):
        model = build(params, estimator=estimator, **changes)
        model.initialize((255 * greys).astype("uint8"), np.zeros(40, int))
        gradients[estimator] = descend(model, many, times=draws)
    for position, weight in enumerate(model.trainable_variables):
        plain, dreg = (np.stack([draw[position] for draw in gradients[name]]) for name in ("plain", "dreg"))
        assert np.abs(plain).max() > 0 or prior == "flow", weight.path
        error = np.sqrt((plain.var(axis=0, ddof=1) + dreg.var(axis=0, ddof=1)) / draws)
        difference = np.abs(plain.mean(axis=0) - dreg.mean(axis=0))
        assert (difference <= 6 * error + 1e-4).all(), weight.path


@pytest.mark.usefixtures("training")
def test_the_decoder_sees_the_same_gradient_and_the_encoder_a_quieter_one(params, greys):
    draws = {}
    for estimator in ("plain", "dreg"):
        model = build(params, samples=50, estimator=estimator)
        draws[estimator] = descend(model, greys[:2], times=20)
    paths = [weight.path for weight in model.trainable_variables]
    logits, mean = paths.index("logits/kernel"), paths.index("z_mean/kernel")
    np.testing.assert_allclose(draws["dreg"][0][logits], draws["plain"][0][logits], rtol=1e-3, atol=1e-4)
    spread = {name: np.std([draw[mean] for draw in found], axis=0).mean() for name, found in draws.items()}
    assert spread["dreg"] < 0.7 * spread["plain"]


def test_a_scaled_gradient_leaves_the_value():
    values = np.array([1.0, -2.0], "float32")
    np.testing.assert_array_equal(scale_gradient(keras.ops.convert_to_tensor(values), 0.25), values)
