import keras
import numpy as np
import pytest

from vaeline.data.sources import MNIST_IMAGE
from vaeline.models.networks import initialize_output_bias
from vaeline.models.priors import kl_by_latent
from vaeline.models.vae import VAE, reparameterize

ARCHITECTURES = ("conv", "mlp", "resmlp")


def build(params, **changes) -> VAE:
    small = {"width": 16, "depth": 2, "latent_dim": 3}
    return VAE({**params.model.model_dump(), **small, **changes}, MNIST_IMAGE, seed=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_shapes_and_ranges(params, greys, architecture, normalization):
    model = build(params, architecture=architecture, normalization=normalization, dropout=0.1, activation="silu")
    z_mean, z_log_var = model.encode(greys)
    assert z_mean.shape == z_log_var.shape == (40, 3)
    images = np.asarray(model.decode(z_mean))
    assert images.shape == greys.shape
    assert 0 < images.min() < images.max() < 1
    np.testing.assert_allclose(images, model.reconstruct(greys), rtol=1e-5)
    assert model.sample(5, seed=0).shape == (5, *MNIST_IMAGE.shape)


def test_the_classic_convolutional_network_is_the_classic_one(params):
    model = build(params, architecture="conv", latent_dim=2)
    kinds = [type(layer).__name__ for layer in model.encoder.layers]
    assert kinds.count("Conv2D") == 2
    assert kinds.count("Dense") == 3
    assert [type(layer).__name__ for layer in model.decoder.layers].count("Conv2DTranspose") == 3
    assert model.encoder.count_params() == 69_076
    assert model.decoder.count_params() == 65_089


def test_zero_variance_returns_the_mean():
    mean = np.ones((3, 2), "float32")
    noise = np.full((3, 2), 7, "float32")
    np.testing.assert_allclose(reparameterize(mean, np.full((3, 2), -100.0, "float32"), noise), mean)
    np.testing.assert_allclose(reparameterize(mean, np.zeros((3, 2), "float32"), noise), mean + 7)


def test_closed_form_kl_is_the_monte_carlo_one():
    rng = np.random.default_rng(0)
    mean, log_var = np.array([[0.7, -1.0]], "float32"), np.array([[-1.0, 0.5]], "float32")
    z = mean + np.exp(log_var / 2) * rng.standard_normal((400_000, 2))
    log_q = -0.5 * ((z - mean) ** 2 / np.exp(log_var) + log_var)
    sampled = (log_q + 0.5 * z**2).sum(axis=1)
    assert float(np.sum(kl_by_latent(mean, log_var))) == pytest.approx(sampled.mean(), abs=4 * sampled.std() / 632)


def test_kl_of_the_prior_is_zero():
    zeros = np.zeros((2, 5), "float32")
    np.testing.assert_array_equal(kl_by_latent(zeros, zeros), zeros)


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_the_loss_is_reconstruction_plus_beta_times_kl(params, greys, beta):
    model = build(params, beta=beta)
    model.compile(optimizer="adam")
    model.kl_weight.assign(0.5)
    outputs = model(greys)
    trained = float(model.compute_loss(x=greys, y_pred=outputs, training=True))
    tested = float(model.compute_loss(x=greys, y_pred=outputs, training=False))
    means = {mean.name: float(mean.result()) for mean in model.means}
    assert trained == pytest.approx(means["reconstruction"] + 0.5 * beta * means["kl"], rel=1e-5)
    assert tested == pytest.approx(means["reconstruction"] + beta * means["kl"], rel=1e-5)
    assert means["neg_elbo"] == pytest.approx(means["reconstruction"] + means["kl"], rel=1e-5)


def test_sampling_follows_its_own_generator(params, greys):
    keras.utils.set_random_seed(0)
    model = build(params)
    first, second = (np.asarray(model(greys)["logits"]) for _ in range(2))
    assert np.abs(first - second).max() > 0
    model.noise_generator.state.assign(keras.random.SeedGenerator(0).state)
    np.testing.assert_array_equal(np.asarray(model(greys)["logits"]), first)


def test_samples_depend_on_seed_and_temperature_alone(params):
    model = build(params)
    np.testing.assert_array_equal(model.sample(4, seed=1), model.sample(4, seed=1))
    assert np.abs(np.asarray(model.sample(4, seed=1)) - np.asarray(model.sample(4, seed=2))).max() > 0
    cold = np.asarray(model.sample(4, seed=1, temperature=0.0))
    np.testing.assert_allclose(cold, np.repeat(cold[:1], 4, axis=0))


@pytest.mark.parametrize(("architecture", "per_pixel"), [("mlp", True), ("resmlp", True), ("conv", False)])
def test_an_untrained_decoder_starts_at_the_training_mean(params, greys, architecture, per_pixel):
    model = build(params, architecture=architecture)
    mean = greys.mean(axis=0)
    initialize_output_bias(model.decoder, mean, model.likelihood)
    logits = model.decoder.get_layer("logits")
    logits.kernel.assign(np.zeros(logits.kernel.shape))
    decoded = np.asarray(model.decode(np.zeros((1, 3), "float32")))[0]
    expected = np.clip(mean if per_pixel else np.full_like(mean, mean.mean()), 1 / (1 + np.exp(5)), 1)
    np.testing.assert_allclose(decoded, expected, atol=1e-4)
