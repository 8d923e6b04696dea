import keras
import numpy as np
import pytest
from models.gradients import jacobian
from scipy import stats
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

from vaeline.data.sources import MNIST_IMAGE
from vaeline.models.networks import build_encoder
from vaeline.models.priors import build_prior

KINDS = ("normal", "vamp", "flow", "mixture")
AXIS = np.linspace(-9, 9, 241)
GRID = np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), axis=-1).reshape(-1, 2).astype("float32")


def build(params, kind, latent_dim=2, **changes):
    keras.utils.set_random_seed(4)
    model = params.model.model_copy(update={"width": 8, "depth": 1, "latent_dim": latent_dim})
    encoder = build_encoder(model, MNIST_IMAGE, {"z_mean": latent_dim, "z_log_var": latent_dim})
    settings = params.model.prior.model_copy(update={"kind": kind, "components": 5, "layers": 4, "width": 8} | changes)
    return build_prior(settings, latent_dim, encoder, MNIST_IMAGE)


def trained(params, kind, greys, latent_dim=2):
    """A prior that is not in its first state, as after a training."""
    prior = build(params, kind, latent_dim)
    rng = np.random.default_rng(3)
    prior.initialize(greys, rng)
    for weight in prior.trainable_variables:
        weight.assign_add(0.3 * rng.normal(size=weight.shape) / np.sqrt(max(weight.shape[0], 1)))
    prior.fit(rng.normal(size=(400, latent_dim)) @ np.diag(np.linspace(0.5, 1.5, latent_dim)) + 0.7, 1)
    return prior


@pytest.mark.parametrize("kind", KINDS)
def test_a_prior_is_a_density(params, greys, kind):
    log_density = np.asarray(trained(params, kind, greys).log_prob(GRID), "float64")
    assert logsumexp(log_density) + 2 * np.log(AXIS[1] - AXIS[0]) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_follow_the_density(params, greys, kind):
    prior = trained(params, kind, greys)
    weights = np.exp(np.asarray(prior.log_prob(GRID), "float64"))
    weights /= weights.sum()
    mean = weights @ GRID
    covariance = (GRID - mean).T @ ((GRID - mean) * weights[:, None])
    drawn = np.asarray(prior.sample(20_000, 1, 1.0))
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.08)
    entropy = -float(weights @ np.log(weights)) + 2 * np.log(AXIS[1] - AXIS[0])
    assert -np.mean(np.asarray(prior.log_prob(drawn))) == pytest.approx(entropy, abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_seeded_and_no_temperature_is_no_gaussian_noise(params, greys, kind):
    prior = trained(params, kind, greys)
    np.testing.assert_array_equal(prior.sample(5, 1, 1.0), prior.sample(5, 1, 1.0))
    assert np.abs(np.asarray(prior.sample(5, 1, 1.0)) - np.asarray(prior.sample(5, 2, 1.0))).max() > 0
    cold = np.unique(np.asarray(prior.sample(200, 1, 0.0)).round(4), axis=0)
    assert len(cold) == {"normal": 1, "flow": 1, "vamp": 5, "mixture": 5}[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_the_kl_is_that_of_many_draws(params, greys, kind):
    prior = trained(params, kind, greys)
    z_mean, z_log_var = (np.tile(row, (20_000, 1)).astype("float32") for row in ([0.7, -1.0], [-1.0, 0.5]))
    noise = np.random.default_rng(0).normal(size=z_mean.shape)
    z = (z_mean + np.exp(z_log_var / 2) * noise).astype("float32")
    log_q = stats.norm.logpdf(z, z_mean, np.exp(z_log_var / 2)).sum(axis=1)
    sampled = log_q - np.asarray(prior.log_prob(z))
    estimated = np.asarray(prior.kl(z, z_mean, z_log_var)).mean()
    assert estimated == pytest.approx(sampled.mean(), abs=5 * sampled.std() / np.sqrt(len(z)))


@pytest.mark.parametrize("latent_dim", [2, 5])
def test_log_determinants_of_the_flow_are_those_of_autodiff(params, greys, latent_dim):
    prior = trained(params, "flow", greys, latent_dim)
    points = np.random.default_rng(1).normal(size=(2, latent_dim)).astype("float32")
    _, log_determinants = prior.to_noise(points)
    assert np.ptp(np.asarray(log_determinants)) > 0.01
    for point, log_determinant in zip(points, np.asarray(log_determinants), strict=True):
        matrix = jacobian(lambda vector: prior.to_noise(vector[None])[0][0], point)
        assert np.linalg.slogdet(matrix)[1] == pytest.approx(log_determinant, abs=1e-4)


@pytest.mark.parametrize("latent_dim", [2, 5])
def test_the_flow_can_be_undone(params, greys, latent_dim):
    prior = trained(params, "flow", greys, latent_dim)
    z = np.random.default_rng(1).normal(size=(20, latent_dim)).astype("float32")
    noise, _ = prior.to_noise(z)
    assert np.abs(np.asarray(noise) - z).max() > 0.1
    np.testing.assert_allclose(prior.from_noise(noise), z, atol=1e-4)


def test_an_untrained_flow_is_the_normal_prior(params):
    z = np.random.default_rng(1).normal(size=(20, 3)).astype("float32")
    np.testing.assert_allclose(build(params, "flow", 3).log_prob(z), build(params, "normal", 3).log_prob(z), rtol=1e-5)


def test_the_vamp_prior_is_the_mixture_of_the_posteriors_of_training_images(params, greys):
    prior = build(params, "vamp")
    prior.initialize(greys, np.random.default_rng(3))
    shown = np.asarray(prior.pseudo_inputs())
    nearest = [np.abs(np.clip(greys, 0.02, 0.98) - image).max(axis=(1, 2, 3)).min() for image in shown]
    np.testing.assert_allclose(nearest, 0, atol=1e-4)
    z_mean, z_log_var = (np.asarray(part) for part in prior.encoder(shown))
    z = np.random.default_rng(1).normal(size=(6, 2)).astype("float32")
    each = stats.norm.logpdf(z[:, None], z_mean, np.exp(z_log_var / 2)).sum(axis=2)
    np.testing.assert_allclose(prior.log_prob(z), logsumexp(each, axis=1) - np.log(5), rtol=1e-4)


def test_the_mixture_is_scikit_learns(params):
    z = (np.random.default_rng(1).normal(size=(300, 2)) * [0.5, 2] + [1, 0]).astype("float32")
    prior = build(params, "mixture")
    np.testing.assert_allclose(prior.log_prob(z), build(params, "normal").log_prob(z), rtol=1e-4)
    prior.fit(z, 1)
    mixture = GaussianMixture(5, init_params="k-means++", reg_covar=1e-4, max_iter=200, random_state=1).fit(z)
    np.testing.assert_allclose(prior.log_prob(z), mixture.score_samples(z), rtol=1e-3, atol=1e-3)
