import numpy as np
import pytest
from scipy import stats

from vaeline.models.likelihoods import build_likelihood

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(4, 3, 5)).astype("float32")
GREYS = RNG.random((6, 3, 5)).astype("float32")


def test_bernoulli_is_scipys_on_binary_pixels():
    binary = (GREYS[:4] > 0.5).astype("float32")
    expected = -stats.bernoulli.logpmf(binary, 1 / (1 + np.exp(-LOGITS))).sum(axis=(1, 2))
    np.testing.assert_allclose(build_likelihood("bernoulli", 1).nll(binary, LOGITS), expected, rtol=1e-5)


def test_bernoulli_on_greys_is_the_mean_over_binary_draws():
    likelihood = build_likelihood("bernoulli", 1)
    drawn = (RNG.random((20_000, 1, 3, 5)) < GREYS[:4]).astype("float32")
    sampled = np.asarray(likelihood.nll(drawn, LOGITS))
    np.testing.assert_allclose(likelihood.nll(GREYS[:4], LOGITS), sampled.mean(axis=0), rtol=0.01)


def test_gaussian_is_scipys():
    expected = -stats.norm.logpdf(GREYS[:4], 1 / (1 + np.exp(-LOGITS)), 0.3).sum(axis=(1, 2))
    np.testing.assert_allclose(build_likelihood("gaussian", 0.3).nll(GREYS[:4], LOGITS), expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["bernoulli", "gaussian"])
def test_pairwise_is_every_image_under_every_latent(name):
    likelihood = build_likelihood(name, 0.3)
    pairwise = np.asarray(likelihood.pairwise_nll(GREYS, LOGITS))
    assert pairwise.shape == (6, 4)
    for image in range(6):
        alone = likelihood.nll(np.repeat(GREYS[image : image + 1], 4, axis=0), LOGITS)
        np.testing.assert_allclose(pairwise[image], alone, rtol=1e-4)
