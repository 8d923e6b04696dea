"""Groups of metrics that a model or its data does not have."""

from dataclasses import replace

import numpy as np
from metric_checks import check

from vaeline.classifier.network import Classifier
from vaeline.compression.measure import measure_compression
from vaeline.data.sources import MNIST_IMAGE
from vaeline.evaluation.subject import Subject
from vaeline.latents.measure import measure_latents
from vaeline.likelihood.measure import measure_likelihood
from vaeline.restoration.measure import measure_restoration
from vaeline.samples.measure import measure_samples


def test_data_of_one_class_has_no_probes_and_nothing_that_needs_labels(evaluate_params, small_model, prepared):
    lonely = Subject(small_model, replace(prepared, manifest={**prepared.manifest, "classes": ["unlabelled"]}), 1)
    measured = measure_latents(lonely)
    assert measured.metrics == measured.columns == {}
    assert measured.protocol == {"left out": "the training images have one class"}
    by_turns = Classifier(image=MNIST_IMAGE, classes=4, width=4, by_turns=True)
    measured = measure_samples(lonely, by_turns, "0" * 64, evaluate_params)
    assert {"frechet", "precision"} < measured.metrics.keys()
    assert not any("accuracy" in name for name in measured.metrics)
    assert "trained without labels to tell how an image was turned" in measured.protocol["features"]


def test_a_model_of_codes_has_every_group_or_says_why_not(coder, evaluate_params):
    measured = measure_likelihood(coder, evaluate_params)
    check(measured, {"active_units", "images", "bits_per_dim", "mse_share"})
    assert measured.protocol["nll_bound"] == "importance-weighted, k = 1, 30 images"
    scored = np.isfinite(measured.columns["nll"])
    np.testing.assert_allclose(measured.columns["nll"][scored], measured.columns["nll_neg_elbo"][scored], rtol=1e-5)
    assert measure_restoration(coder, evaluate_params).protocol == {
        "left out": "the model has no posterior over latents to search"
    }
    assert measure_compression(coder, evaluate_params).protocol == {"left out": "the latents are not standard normal"}
    measured = measure_samples(coder, Classifier(image=MNIST_IMAGE, classes=10, width=4), "0" * 64, evaluate_params)
    check(measured)
    assert measured.protocol["prior"] == "autoregressive"
