import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from vaeline.applications.anomaly import OneClass, anomaly_scores, fit_one_class, one_class_statistics
from vaeline.evaluation.anomaly import alter
from vaeline.evaluation.likelihood import decode, elbo_scores, encode

STATISTICS = np.random.default_rng(0).normal(size=(500, 3)) * [10, 0.01, 0.02] + [100, 0.04, 0.13]


def test_the_score_is_the_mixtures_density():
    one_class = fit_one_class(STATISTICS, 1)
    standard = (STATISTICS - STATISTICS.mean(axis=0)) / STATISTICS.std(axis=0)
    mixture = GaussianMixture(20, init_params="k-means++", reg_covar=1e-4, max_iter=300, random_state=1).fit(standard)
    np.testing.assert_allclose(one_class.score(STATISTICS), -mixture.score_samples(standard), rtol=1e-6)


def test_rare_statistics_score_higher():
    one_class = fit_one_class(STATISTICS, 1)
    usual = one_class.score(STATISTICS)
    for shift in ([60, 0, 0], [0, 0.06, 0], [0, 0, -0.12]):
        assert one_class.score(STATISTICS.mean(axis=0, keepdims=True) + shift)[0] > np.quantile(usual, 0.99)


def test_a_mixture_survives_json():
    one_class = fit_one_class(STATISTICS, 1)
    content = {name: values.tolist() for name, values in vars(one_class).items()}
    np.testing.assert_array_equal(OneClass.from_json(content).score(STATISTICS), one_class.score(STATISTICS))
    with pytest.raises(ValueError, match="one of 2 statistics"):
        OneClass.from_json(content | {"mean": [0.0, 1.0]})


def test_statistics_are_reconstruction_squared_error_and_ink(small_model, greys):
    scores = elbo_scores(small_model, greys, np.arange(40), 1)
    squared_error = ((decode(small_model, encode(small_model, greys)[0]) - greys) ** 2).mean(axis=(1, 2))
    expected = np.column_stack([scores["reconstruction"], squared_error, greys.mean(axis=(1, 2))])
    np.testing.assert_allclose(one_class_statistics(greys, scores), expected, rtol=1e-4)


def test_a_rare_combination_of_usual_values_is_strange():
    rng = np.random.default_rng(0)
    ink = rng.uniform(0.05, 0.2, 3000)
    statistics = np.column_stack([1000 * ink + rng.normal(0, 5, 3000), ink / 3, ink])
    one_class = fit_one_class(statistics, 1)
    (strange,) = one_class.score(np.array([[60.0, 0.06, 0.18]]))
    assert strange > np.quantile(one_class.score(statistics), 0.999)


def test_half_images_are_strange_although_they_cost_few_nats(small_model, digits):
    images = digits.images[:1000].astype("float32") / 255
    rows = np.arange(1000)
    one_class = fit_one_class(one_class_statistics(images, elbo_scores(small_model, images, rows, 1)), 1)
    halves = np.where(np.arange(28)[:, None] < 14, images[:200], np.float32(0))
    usual = anomaly_scores(small_model, images, rows, 1, one_class)["one_class"]
    strange = anomaly_scores(small_model, halves, rows[:200], 1, one_class)["one_class"]
    assert np.median(strange) > np.quantile(usual, 0.99)


def test_inverted_images_are_strange(small_model, digits):
    images = digits.images[:1000].astype("float32") / 255
    rows = np.arange(1000)
    scores = elbo_scores(small_model, images, rows, 1)
    one_class = fit_one_class(one_class_statistics(images, scores), 1)
    usual = anomaly_scores(small_model, images, rows, 1, one_class)
    strange = anomaly_scores(small_model, alter(images[:50], "inversion", 1), rows[:50], 1, one_class)
    for name in ("neg_elbo", "reconstruction", "one_class"):
        assert strange[name].min() > np.quantile(usual[name], 0.9)
