import numpy as np
import pytest
from metric_checks import check

from vaeline.latents import measure
from vaeline.latents.measure import knn_correct, measure_latents, probe_correct


@pytest.fixture(scope="module")
def rings():
    """Two classes on rings about one center: neighbours tell them apart, a line does not."""
    rng = np.random.default_rng(0)
    angle, labels = rng.uniform(0, 2 * np.pi, 600), np.repeat([0, 1], 300)
    radius = 1 + labels + 0.05 * rng.normal(size=600)
    latents, order = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), rng.permutation(600)
    return latents[order[:400]], labels[order[:400]], latents[order[400:]], labels[order[400:]]


def test_neighbours_see_what_a_line_cannot(rings):
    assert knn_correct(*rings).mean() > 0.99
    assert probe_correct(*rings).mean() < 0.7


def test_a_line_suffices_for_two_blobs_of_unequal_scale():
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], 200)
    latents = np.column_stack([1e-3 * (labels + 0.1 * rng.normal(size=400)), 1e3 * rng.normal(size=400)])
    assert probe_correct(latents[:200], labels[:200], latents[200:], labels[200:]).mean() > 0.98
    wrong = 1 - labels[200:]
    assert probe_correct(latents[:200], labels[:200], latents[200:], wrong).mean() < 0.02


def test_latents_are_probed_on_the_test_set(subject):
    measured = measure_latents(subject)
    check(measured)
    assert measured.metrics["knn_accuracy"] > 0.3
    assert measured.columns["knn_accuracy"].shape == subject.labels.shape
    assert set(measured.columns["probe_accuracy"]) == {0.0, 1.0}


def test_many_numbers_are_probed_on_some_images(subject, monkeypatch):
    monkeypatch.setattr(measure, "MOST_NUMBERS", 60 * subject.model.latent_dim)
    measured = measure_latents(subject)
    scored = np.isfinite(measured.columns["knn_accuracy"])
    assert scored.sum() == np.isfinite(measured.columns["probe_accuracy"]).sum() == 60
    assert "fitted on 60 training images, scored on 60 test images" in measured.protocol["latents"]
    assert 0 < measured.metrics["knn_accuracy"] <= 1
