import tracemalloc

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from vaeline.anomaly import one_class
from vaeline.anomaly.one_class import (
    DENSITIES,
    OneClass,
    anomaly_scores,
    fit_densities,
    fit_one_class,
    image_statistics,
)
from vaeline.anomaly.separation import alter
from vaeline.evaluation.inference import decode, encode
from vaeline.likelihood.bounds import elbo_scores

TABLE = np.random.default_rng(0).normal(size=(500, 3)) * [10, 0.01, 0.02] + [100, 0.04, 0.13]
NAMES = ("reconstruction", "mse", "ink")
STATISTICS = dict(zip(NAMES, TABLE.T, strict=True))


@pytest.fixture(scope="module")
def images(digits):
    return digits.images[:1000].astype("float32") / 255


@pytest.fixture(scope="module")
def densities(small_model, images):
    return fit_densities(image_statistics(small_model, images, np.arange(1000), 1), 1)


def test_the_score_is_the_mixtures_density():
    standard = (TABLE - TABLE.mean(axis=0)) / TABLE.std(axis=0)
    mixture = GaussianMixture(20, init_params="k-means++", reg_covar=1e-4, max_iter=300, random_state=1).fit(standard)
    found = fit_one_class(STATISTICS, NAMES, 1).score(STATISTICS)
    np.testing.assert_allclose(found, -mixture.score_samples(standard), rtol=1e-6)


def test_many_statistics_are_scored_in_parts(monkeypatch):
    fitted = fit_one_class(STATISTICS, NAMES, 1)
    many = {name: np.tile(values, 40) + np.arange(20_000) for name, values in STATISTICS.items()}
    whole = fitted.score(many)
    monkeypatch.setattr(one_class, "ROWS_AT_ONCE", 1000)
    tracemalloc.start()
    parts = fitted.score(many)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(parts, whole)
    assert most < 20_000 * len(NAMES) * one_class.COMPONENTS * 8 / 2  # bytes of one array of all rows


@pytest.mark.parametrize(("name", "shift"), [("reconstruction", 60), ("mse", 0.06), ("ink", -0.12)])
def test_rare_statistics_score_higher(name, shift):
    one_class = fit_one_class(STATISTICS, NAMES, 1)
    rare = {key: np.array([values.mean() + shift * (key == name)]) for key, values in STATISTICS.items()}
    assert one_class.score(rare)[0] > np.quantile(one_class.score(STATISTICS), 0.99)


def test_a_rare_combination_of_usual_values_is_strange():
    rng = np.random.default_rng(0)
    ink = rng.uniform(0.05, 0.2, 3000)
    statistics = {"reconstruction": 1000 * ink + rng.normal(0, 5, 3000), "mse": ink / 3, "ink": ink}
    one_class = fit_one_class(statistics, NAMES, 1)
    (strange,) = one_class.score({"reconstruction": np.array([60.0]), "mse": np.array([0.06]), "ink": np.array([0.18])})
    assert strange > np.quantile(one_class.score(statistics), 0.999)


def test_a_mixture_survives_json():
    one_class = fit_one_class(STATISTICS, NAMES, 1)
    content = {name: np.asarray(values).tolist() for name, values in vars(one_class).items()}
    np.testing.assert_array_equal(OneClass.from_json(content).score(STATISTICS), one_class.score(STATISTICS))


def test_statistics_are_what_they_are_called(small_model, greys):
    found = image_statistics(small_model, greys, np.arange(40), 1)
    z_mean, z_log_var = encode(small_model, greys)
    expected = elbo_scores(small_model, greys, np.arange(40), 1) | {
        "mse": ((decode(small_model, z_mean) - greys) ** 2).mean(axis=(1, 2, 3)),
        "ink": greys.mean(axis=(1, 2, 3)),
        "z_norm": np.sqrt((z_mean**2).sum(axis=1)),
        "z_log_sigma": np.log(np.exp(0.5 * z_log_var)).sum(axis=1),
    }
    assert found.keys() == expected.keys() >= {name for names in DENSITIES.values() for name in names}
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-4)


def test_half_images_are_strange_although_they_cost_few_nats(small_model, images, densities):
    rows = np.arange(1000)
    halves = np.where(np.arange(images.shape[1])[:, None, None] < images.shape[1] // 2, images[:200], np.float32(0))
    usual = anomaly_scores(small_model, images, rows, 1, densities)["one_class"]
    strange = anomaly_scores(small_model, halves, rows[:200], 1, densities)["one_class"]
    assert np.median(strange) > np.quantile(usual, 0.99)


def test_inverted_images_are_strange(small_model, images, densities):
    rows = np.arange(1000)
    usual = anomaly_scores(small_model, images, rows, 1, densities)
    strange = anomaly_scores(small_model, alter(images[:50], "inversion", 1), rows[:50], 1, densities)
    for name in ("neg_elbo", "reconstruction", *DENSITIES):
        assert strange[name].min() > np.quantile(usual[name], 0.9)
