import numpy as np
import pytest
from scipy import stats

from vaeline.models.likelihood import LOG_SCALES, build_likelihood

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(4, 3, 5, 2)).astype("float32")
GREYS = RNG.random((6, 3, 5, 2)).astype("float32")


def test_bernoulli_is_scipys_on_binary_pixels():
    binary = (GREYS[:4] > 0.5).astype("float32")
    expected = -stats.bernoulli.logpmf(binary, 1 / (1 + np.exp(-LOGITS))).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(build_likelihood("bernoulli", 1).nll(binary, LOGITS), expected, rtol=1e-5)


def test_bernoulli_on_greys_is_the_mean_over_binary_draws():
    likelihood = build_likelihood("bernoulli", 1)
    drawn = (RNG.random((10_000, 1, 3, 5, 2)) < GREYS[:4]).astype("float32")
    sampled = np.asarray(likelihood.nll(drawn, LOGITS))
    np.testing.assert_allclose(likelihood.nll(GREYS[:4], LOGITS), sampled.mean(axis=0), rtol=0.01)


def test_gaussian_is_scipys():
    expected = -stats.norm.logpdf(GREYS[:4], 1 / (1 + np.exp(-LOGITS)), 0.3).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(build_likelihood("gaussian", 0.3).nll(GREYS[:4], LOGITS), expected, rtol=1e-4)


@pytest.mark.parametrize("logit", [-30.0, -2.0, -0.005, 0.0, 0.02, 3.0, 40.0])
def test_the_continuous_bernoulli_is_a_density_with_its_mean(logit):
    likelihood = build_likelihood("continuous_bernoulli", 1)
    greys = ((np.arange(200_000) + 0.5) / 200_000).astype("float32").reshape(-1, 1, 1, 1)
    logits = np.full_like(greys, logit)
    density = np.exp(-np.asarray(likelihood.nll(greys, logits), "float64"))
    assert density.mean() == pytest.approx(1, rel=1e-3)
    assert float(likelihood.mean(logits)[0, 0, 0, 0]) == pytest.approx((density * greys.ravel()).mean(), abs=1e-3)


def test_the_calibrated_deviation_is_learned_and_has_a_floor():
    likelihood = build_likelihood("calibrated_gaussian", 1)
    likelihood.raw_log_sigma.assign(np.log(0.3))
    fixed = build_likelihood("gaussian", 0.3)
    np.testing.assert_allclose(likelihood.nll(GREYS[:4], LOGITS), fixed.nll(GREYS[:4], LOGITS), rtol=0.02)
    likelihood.raw_log_sigma.assign(-50.0)
    assert float(likelihood.log_sigma) == pytest.approx(-6, abs=1e-3)
    assert [weight.path for weight in likelihood.trainable_variables] == ["calibrated_gaussian/raw_log_sigma"]


def test_mse_is_the_squared_error_and_a_constant():
    likelihood = build_likelihood("mse", 1)
    error = ((GREYS[:4] - np.asarray(likelihood.mean(LOGITS))) ** 2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(np.asarray(likelihood.nll(GREYS[:4], LOGITS)) - error, 15 * np.log(np.pi), rtol=1e-4)


@pytest.mark.parametrize("name", ["bernoulli", "continuous_bernoulli", "gaussian", "calibrated_gaussian", "mse"])
def test_pairwise_is_every_image_under_every_latent(name):
    likelihood = build_likelihood(name, 0.3)
    pairwise = np.asarray(likelihood.pairwise_nll(GREYS, LOGITS))
    assert pairwise.shape == (6, 4)
    for image in range(6):
        alone = likelihood.nll(np.repeat(GREYS[image : image + 1], 4, axis=0), LOGITS)
        np.testing.assert_allclose(pairwise[image], alone, rtol=1e-4)


@pytest.mark.parametrize("location", [-0.5, 0.0, 0.3, 1.0, 1.4])
@pytest.mark.parametrize("log_scale", [-9.0, -4.0, -1.0, 2.0])
def test_the_256_levels_of_a_discretized_logistic_have_all_the_probability_and_its_mean(location, log_scale):
    likelihood = build_likelihood("discretized_logistic", 1)
    likelihood.raw_log_scale.assign(log_scale)
    levels = (np.arange(256) / 255).astype("float32").reshape(-1, 1, 1, 1)
    logits = np.full_like(levels, location)
    probability = np.exp(-np.asarray(likelihood.nll(levels, logits), "float64"))
    assert probability.sum() == pytest.approx(1, abs=1e-4)
    assert float(likelihood.mean(logits)[0, 0, 0, 0]) == pytest.approx(
        (probability * levels.ravel()).mean() * 256, abs=3e-3
    )


def test_a_discretized_logistic_is_scipys_difference_of_two_values():
    likelihood = build_likelihood("discretized_logistic", 1)
    images = (RNG.integers(1, 255, (4, 3, 5, 3)) / 255).astype("float32")
    location = RNG.random((4, 3, 5, 3)).astype("float32")
    likelihood.raw_log_scale.assign(-2.5)
    ends = [stats.logistic.cdf(images + side * 0.5 / 255, location, np.exp(-2.5)) for side in (1, -1)]
    expected = -np.log(ends[0] - ends[1]).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(likelihood.nll(images, location), expected, rtol=1e-4)
    first = likelihood.initial_logits(np.array([0.2, 0.5, 0.7], "float32"))
    assert np.asarray(likelihood.mean(first)) == pytest.approx([0.2, 0.5, 0.7], abs=0.05)


def test_the_scale_of_a_discretized_logistic_is_learned_and_held_within_its_range():
    likelihood = build_likelihood("discretized_logistic", 1)
    assert [weight.path for weight in likelihood.trainable_variables] == ["discretized_logistic/raw_log_scale"]
    likelihood.raw_log_scale.assign(-50.0)
    assert float(likelihood.log_scale) == LOG_SCALES[0]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_logistic_mixture_has_one_probability_for_all_channels_of_a_pixel(channels):
    likelihood = build_likelihood("logistic_mixture", 1)
    logits = RNG.normal(size=likelihood.logits_per_pixel(channels)).astype("float32")
    levels = (np.arange(256) / 255).astype("float32")
    before = [0.2, 0.9][: channels - 1]  # the sum over the last channel, the others fixed
    total = 1.0
    for channel in range(channels):
        images = np.zeros((256, 1, 1, channels), "float32")
        images[..., :channel] = before[:channel]
        images[..., channel] = levels[:, None, None]
        images[..., channel + 1 :] = 0.5
        if channel == channels - 1:
            joint = np.exp(-np.asarray(likelihood.nll(images, np.tile(logits, (256, 1, 1, 1))), "float64"))
            total = joint.sum()
    marginal = _marginal(likelihood, logits, before)
    assert total == pytest.approx(marginal, rel=1e-3)


def _marginal(likelihood, logits, before):
    """P(channels before) by SciPy: the mixture without the last channel."""
    from vaeline.models.likelihoods.logistic_mixture import COMPONENTS

    parts = logits.reshape(COMPONENTS, -1).astype("float64")
    channels = len(before) + 1
    weights = np.exp(parts[:, 0]) / np.exp(parts[:, 0]).sum()
    probability = weights
    for channel, value in enumerate(before):
        location, scale = parts[:, 1 + channel], np.exp(parts[:, 1 + channels + channel])
        for index in range(channel):
            location = location + np.tanh(parts[:, 1 + 2 * channels + index]) * (before[index] - 0.5)
        ends = [stats.logistic.cdf(value + side * 0.5 / 255, location, scale) for side in (1, -1)]
        probability = probability * (ends[0] - ends[1])
    return probability.sum()


def test_green_follows_red_in_a_logistic_mixture():
    likelihood = build_likelihood("logistic_mixture", 1)
    logits = likelihood.initial_logits(np.array([0.5, 0.5, 0.5])).reshape(5, 10).astype("float32")
    logits[:, 1:4], logits[:, 7] = 0.5, 3.0  # all components alike; green = red, by tanh(3)
    logits[:, 4:7] = -4.0
    images = np.array([[[[0.9, 0.9, 0.5]]], [[[0.9, 0.1, 0.5]]]], "float32")
    nll = np.asarray(likelihood.nll(images, np.tile(logits.reshape(1, 1, 1, 50), (2, 1, 1, 1))))
    assert nll[0] < nll[1] - 5


def test_a_logistic_mixture_starts_at_the_mean():
    likelihood = build_likelihood("logistic_mixture", 1)
    mean = np.array([0.2, 0.5, 0.7])
    logits = likelihood.initial_logits(mean).astype("float32")
    assert logits.shape == (50,)
    assert np.asarray(likelihood.mean(logits.reshape(1, 1, 1, -1))).ravel() == pytest.approx(mean, abs=0.1)
