import math

import numpy as np
import pytest
from metric_checks import check

from vaeline.data.sources import MNIST_IMAGE
from vaeline.evaluation.noise import binary_pixels
from vaeline.evaluation.subject import Subject
from vaeline.likelihood.bounds import elbo_scores
from vaeline.likelihood.measure import measure_likelihood
from vaeline.models.vae import VAE


def build(params, **changes) -> VAE:
    settings = params.model.model_dump() | {"width": 16, "depth": 1} | changes
    return VAE(settings, MNIST_IMAGE, seed=1)


def test_likelihoods_are_ordered_and_say_how_they_were_measured(subject, evaluate_params):
    measured = measure_likelihood(subject, evaluate_params)
    check(measured, {"active_units", "images", "bits_per_dim", "mse_share"})
    metrics, bound = measured.metrics, measured.columns["nll_bound"]
    scored = np.isfinite(bound)
    assert scored.sum() == 30
    assert metrics["nll_bound"] == pytest.approx(bound[scored].mean(), abs=1e-4)
    assert measured.columns["nll"][scored].mean() <= bound[scored].mean() + 0.05
    assert metrics["nll"] < metrics["nll_neg_elbo"]
    assert metrics["neg_elbo"] == pytest.approx(metrics["reconstruction"] + metrics["kl"], abs=1e-4)
    assert metrics["bits_per_dim"] == pytest.approx(metrics["nll"] / math.log(2) / 784, abs=1e-5)
    assert measured.protocol["nll_pixels"] == "binary, seed 1"
    assert measured.protocol["nll_bound"] == "importance-weighted, k = 20, 30 images"
    assert measured.protocol["pixels"] == "grey"


def test_the_nll_is_that_of_binary_pixels_even_for_a_model_of_greys(subject, evaluate_params):
    measured = measure_likelihood(subject, evaluate_params)
    binary = binary_pixels(subject.original_images[:], 1, subject.rows)
    expected = elbo_scores(subject.model, binary, subject.rows, 1)["neg_elbo"]
    np.testing.assert_allclose(measured.columns["nll_neg_elbo"], expected)


def test_a_model_of_binary_pixels_is_measured_on_such_and_a_gaussian_one_on_greys(params, prepared, evaluate_params):
    measured = measure_likelihood(Subject(build(params, binarize=True), prepared, 1), evaluate_params)
    np.testing.assert_allclose(measured.columns["nll_neg_elbo"], measured.columns["neg_elbo"])
    assert measured.protocol["pixels"] == "binary, seed 1"
    measured = measure_likelihood(
        Subject(build(params, likelihood="gaussian", latent_dim=3), prepared, 1), evaluate_params
    )
    assert measured.protocol["nll_pixels"] == "grey"
    assert "bits_per_dim" not in measured.metrics
    np.testing.assert_array_equal(measured.columns["nll"], measured.columns["nll_bound"])
