import numpy as np
from sklearn.mixture import GaussianMixture

from vaeline.applications.anomaly import OneClass, anomaly_scores, fit_one_class, one_class_statistics
from vaeline.evaluation.anomaly import alter
from vaeline.evaluation.likelihood import elbo_scores, encode

STATISTICS = np.random.default_rng(0).normal(size=(500, 4)) * [10, 1, 0.1, 3] + [100, 7, 1, -6]


def test_the_score_is_the_mixtures_density():
    one_class = fit_one_class(STATISTICS, 1)
    standard = (STATISTICS - STATISTICS.mean(axis=0)) / STATISTICS.std(axis=0)
    mixture = GaussianMixture(20, init_params="k-means++", reg_covar=1e-4, max_iter=300, random_state=1).fit(standard)
    np.testing.assert_allclose(one_class.score(STATISTICS), -mixture.score_samples(standard), rtol=1e-6)


def test_rare_statistics_score_higher():
    one_class = fit_one_class(STATISTICS, 1)
    usual = one_class.score(STATISTICS)
    for shift in ([60, 0, 0, 0], [0, -6, 0, 0], [0, 0, 0.6, 0], [0, 0, 0, 18]):
        assert one_class.score(STATISTICS.mean(axis=0, keepdims=True) + shift)[0] > np.quantile(usual, 0.99)


def test_a_mixture_survives_json():
    one_class = fit_one_class(STATISTICS, 1)
    content = {name: values.tolist() for name, values in vars(one_class).items()}
    np.testing.assert_array_equal(OneClass.from_json(content).score(STATISTICS), one_class.score(STATISTICS))


def test_statistics_are_reconstruction_kl_norm_and_log_sigma(small_model, greys):
    scores = elbo_scores(small_model, greys, np.arange(40), 1)
    z_mean, z_log_var = encode(small_model, greys)
    expected = [
        scores["reconstruction"],
        scores["kl"],
        np.linalg.norm(z_mean, axis=1),
        np.log(np.exp(0.5 * z_log_var)).sum(axis=1),
    ]
    np.testing.assert_allclose(one_class_statistics(small_model, greys, scores), np.column_stack(expected), rtol=1e-4)


def test_inverted_images_are_strange(small_model, digits):
    images = digits.images[:1000].astype("float32") / 255
    rows = np.arange(1000)
    scores = elbo_scores(small_model, images, rows, 1)
    one_class = fit_one_class(one_class_statistics(small_model, images, scores), 1)
    usual = anomaly_scores(small_model, images, rows, 1, one_class)
    strange = anomaly_scores(small_model, alter(images[:50], "inversion", 1), rows[:50], 1, one_class)
    for name in ("neg_elbo", "reconstruction", "one_class"):
        assert strange[name].min() > np.quantile(usual[name], 0.9)
