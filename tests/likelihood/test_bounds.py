import itertools
import math

import numpy as np
import pytest
from conftest import first, train_once
from scipy import stats

from vaeline.evaluation import inference
from vaeline.evaluation.inference import decode, encode, sample
from vaeline.evaluation.noise import binary_pixels, latent_noise, subset
from vaeline.images.spec import ImageSpec
from vaeline.likelihood import bounds
from vaeline.likelihood.bounds import active_units, elbo_scores, exact_nll, importance_weighted_nll, label_bounds
from vaeline.models.likelihoods.gaussian import Gaussian
from vaeline.training.batches import Examples

INDICES = np.arange(40)


@pytest.fixture(scope="module")
def trained(training, params, digits):
    """A small 2-D model of each architecture, trained a little."""
    examples = first(Examples(digits.images, digits.labels), 900)
    train = {"epochs": 6, "learning_rate": 0.003}
    models = {}
    for name in ("conv", "mlp", "resmlp"):
        model = {"architecture": name, "width": 16, "depth": 1}
        models[name], _ = train_once(f"bounds-{name}", params, examples, model, train)
    return models


class LinearGaussian:
    """x = A z + b + noise: a model whose evidence has a closed form, with an encoder that is deliberately wide."""

    latent_dim, noise_dim, sigma = 2, 2, 0.5
    likelihood = Gaussian(sigma)
    image = ImageSpec(height=2, width=2, channels=1)

    def __init__(self):
        rng = np.random.default_rng(0)
        self.loading, self.shift = rng.normal(size=(4, 2)), rng.normal(size=4)
        precision = np.eye(2) + self.loading.T @ self.loading / self.sigma**2
        self.gain = np.linalg.inv(precision) @ self.loading.T / self.sigma**2
        self.variance = 1.5 * np.diag(np.linalg.inv(precision))
        self.likelihood.mean = lambda logits: logits

    def encode(self, images, labels=None):
        flat = np.asarray(images).reshape(-1, 4) - self.shift
        z_mean = (flat @ self.gain.T).astype("float32")
        return z_mean, np.broadcast_to(np.log(self.variance), z_mean.shape).astype("float32")

    def reparameterize(self, z_mean, z_log_var, noise):
        return z_mean + np.exp(0.5 * z_log_var) * noise

    def log_prior(self, z):
        return stats.multivariate_normal(np.zeros(2)).logpdf(z).astype("float32")

    def decode_logits(self, z):
        return (np.asarray(z) @ self.loading.T + self.shift).reshape(-1, 2, 2, 1).astype("float32")

    def nll(self, images):
        covariance = self.loading @ self.loading.T + self.sigma**2 * np.eye(4)
        return -stats.multivariate_normal(self.shift, covariance).logpdf(np.asarray(images).reshape(-1, 4))


def test_bound_and_grid_find_the_evidence_of_a_linear_gaussian_model():
    model = LinearGaussian()
    images = np.random.default_rng(1).normal(size=(20, 2, 2, 1)).astype("float32")
    np.testing.assert_allclose(
        importance_weighted_nll(model, images, np.arange(20), 5000, 1), model.nll(images), atol=0.1
    )
    np.testing.assert_allclose(exact_nll(model, images, 200), model.nll(images), atol=0.01)


@pytest.mark.parametrize("architecture", ["conv", "mlp", "resmlp"])
def test_nll_is_below_the_negative_elbo_and_the_bound_tightens_with_k(trained, greys, architecture):
    model = trained[architecture]
    negative_elbo = np.mean([elbo_scores(model, greys, INDICES, seed)["neg_elbo"].mean() for seed in range(20)])
    bounds = [importance_weighted_nll(model, greys, INDICES, k, 1).mean() for k in (1, 10, 100)]
    exact = exact_nll(model, greys, 64).mean()
    assert exact < negative_elbo
    assert all(more <= fewer + 0.05 for fewer, more in itertools.pairwise(bounds))
    assert bounds[-1] > exact - 0.05
    assert bounds[0] == pytest.approx(negative_elbo, abs=2.0)


def test_the_grid_agrees_with_five_thousand_samples_and_with_a_finer_grid(trained, greys):
    model, images = trained["resmlp"], greys[:10]
    exact = exact_nll(model, images, 256)
    assert importance_weighted_nll(model, images, INDICES[:10], 5000, 1).mean() == pytest.approx(exact.mean(), abs=0.1)
    np.testing.assert_allclose(exact_nll(model, images, 512), exact, atol=0.01)


@pytest.mark.parametrize("architecture", ["conv", "mlp"])
def test_compiling_changes_no_bound(trained, greys, monkeypatch, architecture):
    found = []
    for worth in (math.inf, 0):
        monkeypatch.setattr(bounds, "ROWS_WORTH_COMPILING", worth)
        found.append(importance_weighted_nll(trained[architecture], greys, INDICES, 7, 1))
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_the_grid_needs_two_dimensions():
    model = LinearGaussian()
    model.latent_dim = 3
    with pytest.raises(ValueError, match="two random latents"):
        exact_nll(model, np.zeros((1, 2, 2, 1), "float32"), 16)


def test_an_image_meets_the_same_noise_in_any_batch_or_subset(trained, greys, monkeypatch):
    model = trained["mlp"]
    whole = elbo_scores(model, greys, INDICES, 1)
    bound = importance_weighted_nll(model, greys, INDICES, 50, 1)
    monkeypatch.setattr(inference, "BATCH", 7)
    monkeypatch.setattr(bounds, "ROWS_DECODED_AT_ONCE", 30)
    chosen = INDICES[5::3]
    np.testing.assert_allclose(
        elbo_scores(model, greys[chosen], chosen, 1)["neg_elbo"], whole["neg_elbo"][chosen], rtol=1e-5
    )
    np.testing.assert_allclose(importance_weighted_nll(model, greys[chosen], chosen, 50, 1), bound[chosen], rtol=1e-5)


def test_scores_are_those_of_their_definition(trained, greys):
    model = trained["conv"]
    scores = elbo_scores(model, greys, INDICES, 1)
    z_mean, z_log_var = encode(model, greys)
    z = z_mean + np.exp(z_log_var / 2) * latent_noise(1, INDICES, 1, 2)[:, 0]
    probability = np.clip(np.asarray(model.decode(z), "float64"), 1e-12, 1 - 1e-12)
    cross_entropy = -(greys * np.log(probability) + (1 - greys) * np.log(1 - probability)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(scores["reconstruction"], cross_entropy, rtol=1e-4)
    np.testing.assert_allclose(scores["neg_elbo"], scores["reconstruction"] + scores["kl"])
    np.testing.assert_allclose(
        scores["mse"], ((np.asarray(model.reconstruct(greys)) - greys) ** 2).mean(axis=(1, 2, 3)), rtol=1e-4
    )


def test_more_samples_keep_the_earlier_noise():
    np.testing.assert_array_equal(latent_noise(1, INDICES, 9, 3)[:, :4], latent_noise(1, INDICES, 4, 3))
    assert latent_noise(1, INDICES, 1000, 2).mean() == pytest.approx(0, abs=0.02)


def test_binary_pixels_have_the_greys_as_probabilities(greys):
    drawn = np.stack([binary_pixels(greys[:1], 1, np.array([index])) for index in range(2000)])
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_allclose(drawn.mean(axis=0), greys[:1], atol=0.06)


def test_active_units_are_counted_by_the_variance_of_their_mean():
    z_mean = np.random.default_rng(0).normal(size=(1000, 3)) * [1.0, 0.2, 0.05]
    assert active_units(z_mean) == 2


def test_a_larger_subset_holds_the_smaller():
    small, large = subset(1000, 50, 1), subset(1000, 200, 1)
    assert set(small) < set(large)
    assert (np.diff(large) > 0).all()
    assert len(subset(10, 50, 1)) == 10
    assert not np.array_equal(small, subset(1000, 50, 2))


def test_samples_are_seeded_and_differ_between_batches(trained, monkeypatch):
    model = trained["mlp"]
    monkeypatch.setattr(inference, "BATCH", 10)
    drawn = sample(model, 25, 1)
    assert drawn.shape == (25, *model.image.shape)
    np.testing.assert_array_equal(drawn, sample(model, 25, 1))
    assert len(np.unique(drawn.reshape(25, -1), axis=0)) == 25
    assert not np.array_equal(drawn, sample(model, 25, 2))


def test_decoding_in_batches_changes_nothing(trained, monkeypatch):
    z = np.random.default_rng(0).normal(size=(23, 2)).astype("float32")
    monkeypatch.setattr(inference, "BATCH", 5)
    np.testing.assert_allclose(decode(trained["mlp"], z), trained["mlp"].decode(z), rtol=1e-4, atol=1e-6)


def test_the_lowest_of_all_labels_bounds_names_the_class(conditional_model, digits):
    images, labels, rows = digits.images[:100].astype("float32") / 255, digits.labels[:100], np.arange(100)
    bounds = label_bounds(conditional_model, images, rows, 5, 1)
    told = importance_weighted_nll(conditional_model, images, rows, 5, 1, labels)
    np.testing.assert_allclose(bounds[rows, labels], told, rtol=1e-6)
    assert (bounds.argmin(axis=1) == labels).mean() > 0.8
