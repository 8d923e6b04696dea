"""Every group of metrics, on a small model: complete, finite, with errors and a protocol."""

import math
from dataclasses import replace

import numpy as np
import pytest

from vaeline.anomaly.measure import measure_anomalies
from vaeline.anomaly.one_class import fit_densities, image_statistics
from vaeline.classifier.fit import fit_classifier
from vaeline.classifier.network import Classifier
from vaeline.codes.measure import measure_codes
from vaeline.compression.measure import measure_compression
from vaeline.conditional.measure import measure_conditional
from vaeline.data.sources import MNIST_IMAGE
from vaeline.evaluation.inference import encode
from vaeline.evaluation.noise import binary_pixels
from vaeline.evaluation.subject import Subject
from vaeline.latents.measure import measure_latents
from vaeline.likelihood.bounds import elbo_scores
from vaeline.likelihood.measure import measure_likelihood
from vaeline.models.build import build_model
from vaeline.models.vae import VAE
from vaeline.params.base import flatten
from vaeline.params.model import ModelParams
from vaeline.restoration.measure import measure_restoration
from vaeline.samples.measure import measure_samples
from vaeline.scores import SCORES


@pytest.fixture(scope="module")
def settings(params):
    return params.evaluate.model_copy(
        update={"nll_images": 30, "nll_samples": 20, "grid_points": 64, "samples": 100, "restoration_images": 5}
    )


@pytest.fixture
def subject(small_model, prepared):
    return Subject(small_model, prepared, 1)


def build(params, **changes) -> VAE:
    settings = params.model.model_dump() | {"width": 16, "depth": 1} | changes
    return VAE(settings, MNIST_IMAGE, seed=1)


def check(measured, without_error=()):
    metrics = flatten(measured.metrics)
    assert all(math.isfinite(value) for value in metrics.values())
    names = {name for name in metrics if not name.endswith("_se")}
    assert {name for name in names if f"{name}_se" not in metrics} == set(without_error)
    assert measured.protocol


def test_likelihoods_are_ordered_and_say_how_they_were_measured(subject, settings):
    measured = measure_likelihood(subject, settings)
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


def test_the_nll_is_that_of_binary_pixels_even_for_a_model_of_greys(subject, settings):
    measured = measure_likelihood(subject, settings)
    binary = binary_pixels(subject.original_images, 1, subject.rows)
    expected = elbo_scores(subject.model, binary, subject.rows, 1)["neg_elbo"]
    np.testing.assert_allclose(measured.columns["nll_neg_elbo"], expected)


def test_a_model_of_binary_pixels_is_measured_on_such_and_a_gaussian_one_on_greys(params, prepared, settings):
    measured = measure_likelihood(Subject(build(params, binarize=True), prepared, 1), settings)
    np.testing.assert_allclose(measured.columns["nll_neg_elbo"], measured.columns["neg_elbo"])
    assert measured.protocol["pixels"] == "binary, seed 1"
    measured = measure_likelihood(Subject(build(params, likelihood="gaussian", latent_dim=3), prepared, 1), settings)
    assert measured.protocol["nll_pixels"] == "grey"
    assert "bits_per_dim" not in measured.metrics
    np.testing.assert_array_equal(measured.columns["nll"], measured.columns["nll_bound"])


def test_latents_are_probed_on_the_test_set(subject):
    measured = measure_latents(subject)
    check(measured)
    assert measured.metrics["knn_accuracy"] > 0.3
    assert measured.columns["knn_accuracy"].shape == subject.labels.shape
    assert set(measured.columns["probe_accuracy"]) == {0.0, 1.0}


def test_samples_stand_beside_a_floor_of_real_images(subject, settings):
    measured = measure_samples(subject, Classifier(image=MNIST_IMAGE, classes=10, width=4), "0" * 64, settings)
    check(measured)
    assert measured.metrics["floor_frechet"] < measured.metrics["frechet"]
    assert measured.metrics["floor_coverage"] > measured.metrics["coverage"]


def test_data_of_one_class_has_no_probes_and_no_features(subject, settings, small_model, prepared):
    lonely = Subject(small_model, replace(prepared, manifest={**prepared.manifest, "classes": ["unlabelled"]}), 1)
    for measured in (measure_latents(lonely), measure_samples(lonely, None, "", settings)):
        assert measured.metrics == measured.columns == {}
        assert measured.protocol == {"left out": "the data has one class"}


def test_anomalies_of_every_kind_are_scored_and_other_data_sets_too(subject):
    train = subject.train_images(np.arange(500))
    densities = fit_densities(image_statistics(subject.model, train, np.arange(500), 1), 1)
    letters = np.random.default_rng(0).random((40, *MNIST_IMAGE.shape), dtype="float32")
    measured = measure_anomalies(subject, densities, {"letters": letters})
    check(measured)
    assert set(measured.metrics) == {"hflip", "vflip", "rotation", "inversion", "noise", "constant", "letters"}
    assert set(measured.metrics["hflip"]) == {"neg_elbo", "reconstruction", "kl", "one_class", "one_class_latent"}
    assert measured.metrics["noise"]["neg_elbo"]["auroc"] > 0.99
    assert measured.metrics["letters"]["reconstruction"]["auroc"] > 0.99
    assert "letters" in measured.protocol["strange"]
    statistics = image_statistics(subject.model, subject.original_images, subject.rows, 1)
    for name, density in densities.items():
        np.testing.assert_allclose(measured.columns[name], density.score(statistics))


def test_restoration_is_measured_beside_damage_and_median(subject, settings):
    measured = measure_restoration(subject, settings)
    check(measured)
    assert set(measured.metrics) == {"noise_0.1", "noise_0.25", "noise_0.5", "box"}
    assert set(measured.metrics["box"]) == {"damaged", "median", "restored"}
    assert measured.metrics["noise_0.5"]["damaged"]["psnr"] < measured.metrics["noise_0.1"]["damaged"]["psnr"]


def test_compression_is_measured_at_the_stated_precision(subject, settings):
    measured = measure_compression(subject, settings)
    check(measured, {"packed_bits"})
    assert measured.metrics["packed_bits"] == pytest.approx(measured.metrics["code_bits"], rel=0.02)
    assert measured.metrics["code_bits"] < measured.metrics["png_bits"]
    curve = measured.table.set_index("step")
    assert (np.diff(curve["code_bits"]) > 0).all()
    assert curve.loc[settings.code_step, "code_mse"] == pytest.approx(measured.metrics["code_mse"], abs=1e-4)
    images = subject.original_images
    exact = ((np.asarray(subject.model.decode(encode(subject.model, images)[0])) - images) ** 2).mean()
    assert curve["code_mse"].iloc[-1] == pytest.approx(exact, rel=0.05)


def test_a_conditional_model_is_measured_by_what_it_draws_and_whom_it_recognizes(conditional_model, prepared, params):
    subject = Subject(conditional_model, prepared, 1)
    training = params.classify.model_copy(update={"epochs": 2, "width": 4, "batch_size": 32})
    train = prepared.splits["train"]
    classifier = fit_classifier(train.images, train.labels, 10, training)
    nll_bound = np.where(subject.rows < 30, 150.0, np.nan)
    measured = measure_conditional(subject, classifier, training, nll_bound)
    check(measured)
    metrics = measured.metrics
    assert metrics["nll_given_label"] == pytest.approx(150 - math.log(10), abs=1e-4)
    assert metrics["sample_accuracy"] > 0.7 < metrics["cas_accuracy"]
    assert metrics["bayes_accuracy"] > 0.8 < metrics["guess_accuracy"]
    assert measured.columns["bayes_accuracy"].mean() == pytest.approx(metrics["bayes_accuracy"], abs=1e-5)
    entries = {entry for name in measured.columns for entry in SCORES[name].protocol}
    assert entries <= {f"conditional.{name}" for name in measured.protocol}
    by_class = metrics["classes"]
    assert list(by_class) == subject.classes
    accuracies = [by_class[name]["sample_accuracy"] for name in subject.classes]
    assert np.mean(accuracies) == pytest.approx(metrics["sample_accuracy"], abs=1e-4)
    assert all(row["distance"] < row["real_distance"] for row in by_class.values())
    recall, real = (np.mean([row[name] for row in by_class.values()]) for name in ("recall", "real_recall"))
    assert recall < real


@pytest.fixture
def coder(params, prepared) -> Subject:
    """A model with a codebook, untrained but for its start."""
    changes = {"kind": "vqvae", "architecture": "conv", "latent_dim": 2}
    given = params.model.model_dump() | changes
    given["prior"] |= {"kind": "autoregressive", "layers": 1, "width": 16}
    given["codebook"] |= {"codes": 12}
    model = build_model(ModelParams.model_validate(given), MNIST_IMAGE, 10, 1)
    train = prepared.splits["train"]
    model.initialize(train.images[:100], train.labels[:100])
    return Subject(model, prepared, 1)


def test_codes_are_measured_over_the_whole_test_set_beside_what_they_are_worth(coder):
    unused = np.full((1, 2), 99.0)
    coder.model.codebook.codes.assign(np.concatenate([np.array(coder.model.codebook.codes)[:-1], unused]))
    measured = measure_codes(coder)
    check(measured, {"codes", "codes_per_image", "usage", "perplexity", "mse_share"})
    metrics = measured.metrics
    z = coder.latents.reshape(len(coder.rows), 49, 2)
    found, uses = np.unique(z.reshape(-1, 2), axis=0, return_counts=True)
    shares = uses / uses.sum()
    assert metrics["codes"] == 12
    assert metrics["usage"] == pytest.approx(len(found) / 12, abs=1e-5)
    assert metrics["usage"] < 1
    assert metrics["perplexity"] == pytest.approx(np.prod(shares**-shares), rel=1e-5)
    scores = elbo_scores(coder.model, coder.original_images, coder.rows, 1)
    assert metrics["nats_per_image"] == pytest.approx(scores["kl"].mean(), abs=1e-4)
    assert metrics["nats_per_code"] == pytest.approx(scores["kl"].mean() / 49, abs=1e-5)
    assert metrics["mse_share"] == pytest.approx(scores["mse"].mean() / coder.original_images.var(), abs=1e-5)
    assert measured.protocol["images"] == f"all {len(coder.rows)} test images, grey"


def test_a_model_of_codes_has_every_group_or_says_why_not(coder, settings):
    measured = measure_likelihood(coder, settings)
    check(measured, {"active_units", "images", "bits_per_dim", "mse_share"})
    assert measured.protocol["nll_bound"] == "importance-weighted, k = 1, 30 images"
    scored = np.isfinite(measured.columns["nll"])
    np.testing.assert_allclose(measured.columns["nll"][scored], measured.columns["nll_neg_elbo"][scored], rtol=1e-5)
    assert measure_restoration(coder, settings).protocol == {
        "left out": "the model has no posterior over latents to search"
    }
    assert measure_compression(coder, settings).protocol == {"left out": "the latents are no standard normal numbers"}
    measured = measure_samples(coder, Classifier(image=MNIST_IMAGE, classes=10, width=4), "0" * 64, settings)
    check(measured)
    assert measured.protocol["prior"] == "autoregressive"
