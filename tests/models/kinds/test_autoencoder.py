import keras
import numpy as np
import pytest

from vaeline.data.sources import MNIST_IMAGE
from vaeline.likelihood.bounds import elbo_scores
from vaeline.models.build import build_model


def build(params, kind, **changes):
    keras.utils.set_random_seed(2)
    small = {"kind": kind, "architecture": "resmlp", "width": 8, "depth": 1, "latent_dim": 3}
    return build_model(params.model.model_copy(update={**small, **changes}), MNIST_IMAGE, 10, 2)


def test_a_vae_without_kl_and_noise_is_the_autoencoder(params, greys):
    autoencoder, vae = build(params, "autoencoder"), build(params, "vae", beta=0.0)
    for layer in autoencoder.encoder.layers:
        vae.encoder.get_layer(layer.name).set_weights(layer.get_weights())
    vae.encoder.get_layer("z_log_var").set_weights([np.zeros((8, 3)), np.full(3, -200.0)])
    vae.decoder.set_weights(autoencoder.decoder.get_weights())
    losses = []
    for model in (autoencoder, vae):
        model.compile(optimizer="adam", run_eagerly=True)
        losses.append(model.test_on_batch(greys, return_dict=True))
    assert losses[0]["loss"] == pytest.approx(losses[1]["loss"], rel=1e-6)
    assert losses[0]["reconstruction"] == pytest.approx(losses[1]["reconstruction"], rel=1e-6)
    assert losses[0].keys() == {"loss", "reconstruction"}


def test_it_claims_no_bound(params, greys):
    model = build(params, "autoencoder")
    scores = elbo_scores(model, greys, np.arange(40), 1)
    assert scores.keys() == {"reconstruction", "mse"}
    np.testing.assert_allclose(
        scores["mse"], ((np.asarray(model.reconstruct(greys)) - greys) ** 2).mean(axis=(1, 2, 3)), rtol=1e-4
    )


def test_its_fitted_prior_draws_where_its_codes_are(params, digits):
    settings = params.model.prior.model_copy(update={"kind": "mixture", "components": 5})
    model = build(params, "autoencoder", prior=settings)
    model.encoder.get_layer("z_mean").bias.assign([20.0, -30.0, 5.0])
    far = np.asarray(model.draw_latents(500, 1)).mean(axis=0)
    model.fit_prior(digits.images, digits.labels)
    codes = np.asarray(model.encode(digits.images.astype("float32") / 255)[0])
    near = np.asarray(model.draw_latents(500, 1))
    np.testing.assert_allclose(far, 0, atol=0.3)
    np.testing.assert_allclose(near.mean(axis=0), codes.mean(axis=0), atol=0.2)
    np.testing.assert_allclose(np.cov(near.T), np.cov(codes.T), atol=0.3 * codes.var(axis=0).max())
