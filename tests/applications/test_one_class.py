import numpy as np

from vaeline.applications.anomaly import anomaly_scores, fit_one_class, one_class_statistics
from vaeline.applications.reference import read_reference
from vaeline.data.prepared import scale
from vaeline.models.archive import load_model


def test_the_statistics_are_nats_squared_error_and_ink(greys):
    scores = {"reconstruction": np.arange(40.0), "mse": np.linspace(0, 1, 40), "kl": np.full(40, 9.0)}
    statistics = one_class_statistics(greys, scores)
    expected = np.column_stack([np.arange(40), scores["mse"], greys.mean(axis=(1, 2))])
    np.testing.assert_allclose(statistics, expected, rtol=1e-6)


def test_a_rare_combination_of_usual_values_is_unusual():
    rng = np.random.default_rng(0)
    ink = rng.uniform(0.05, 0.2, 3000)
    nats = 1000 * ink + rng.normal(0, 5, 3000)
    one_class = fit_one_class(np.column_stack([nats, ink / 3, ink]), 1)
    usual = one_class.score(np.column_stack([nats, ink / 3, ink]))
    (strange,) = one_class.score(np.array([[60.0, 0.06, 0.18]]))
    assert strange > np.quantile(usual, 0.999)


def test_half_digits_and_noise_are_stranger_than_digits(desk, digits):
    model, reference = load_model(desk / "models/vae.keras"), read_reference(desk / "reports/latent_reference.json")
    usual = scale(digits.images[:100])
    halves = np.where(np.arange(28)[:, None] < 14, usual, np.float32(0))
    noise = np.random.default_rng(0).random((5, 28, 28), dtype="float32")
    images = np.concatenate([usual, halves, noise])
    scores = anomaly_scores(model, images, np.arange(len(images)), 1, reference.one_class)["one_class"]
    assert np.median(scores[100:200]) > np.quantile(scores[:100], 0.95)
    assert scores[200:].min() > scores[:100].max()
