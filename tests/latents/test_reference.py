import numpy as np
import pytest

from vaeline.errors import VaelineError
from vaeline.evaluation.inference import encode
from vaeline.latents.attributes import attribute_direction
from vaeline.latents.reference import draw_around, fit_reference, read_reference, write_reference


@pytest.fixture(scope="module")
def reference(small_model, digits):
    return fit_reference(
        small_model, "abc", digits.images[:600].astype("float32") / 255, digits.labels[:600], digits.classes, 1
    )


def test_class_means_and_posteriors_are_those_of_the_class(reference, small_model, digits):
    z_mean, z_log_var = encode(small_model, digits.images[:600].astype("float32") / 255)
    own = digits.labels[:600] == 7
    np.testing.assert_allclose(reference.class_means[7], z_mean[own].mean(axis=0), atol=1e-5)
    means, log_vars = reference.posteriors(7)
    np.testing.assert_array_equal(means, z_mean[own][: len(means)])
    np.testing.assert_array_equal(log_vars, z_log_var[own][: len(means)])


def test_a_reference_comes_back_from_its_file(reference, tmp_path):
    write_reference(reference, tmp_path / "reference.json")
    again = read_reference(tmp_path / "reference.json")
    assert (again.model_sha256, again.classes) == ("abc", reference.classes)
    for name in ("class_means", "z_mean", "z_log_var", "labels"):
        np.testing.assert_allclose(getattr(again, name), getattr(reference, name), atol=1e-6)
    np.testing.assert_allclose(again.attributes["slant"], reference.attributes["slant"], atol=1e-6)
    np.testing.assert_allclose(again.posteriors(3)[0], reference.posteriors(3)[0], atol=1e-6)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model_sha256": 1, "densities": {"one_class": {"odd": 1}}}'])
def test_what_is_no_reference_is_refused(tmp_path, content):
    (tmp_path / "reference.json").write_text(content)
    with pytest.raises(VaelineError, match=r"reference\.json: not a latent reference"):
        read_reference(tmp_path / "reference.json")
    with pytest.raises(VaelineError, match="dvc repro evaluate"):
        read_reference(tmp_path / "none.json")


def test_a_direction_is_found_within_classes():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 2000)
    values = rng.normal(size=4000) + 100 * labels
    z_mean = np.column_stack([0.5 * (values - 100 * labels), rng.normal(size=4000)]) + 50 * labels[:, None]
    np.testing.assert_allclose(attribute_direction(z_mean, values, labels), [0.5, 0], atol=0.03)
    assert (attribute_direction(z_mean, np.ones(4000), labels) == 0).all()


Z_MEAN = np.arange(6.0).reshape(3, 2)
Z_LOG_VAR = np.log(np.array([[0.01, 1.0], [0.01, 1.0], [0.01, 1.0]]))


def drawn(count, temperature, seed=0):
    return draw_around(Z_MEAN, Z_LOG_VAR, count, temperature, np.random.default_rng(seed))


def test_without_noise_the_means_come_back_each_before_any_twice():
    for start in (0, 3):
        assert sorted(map(tuple, drawn(7, 0.0)[start : start + 3])) == sorted(map(tuple, Z_MEAN))


def test_noise_has_the_posteriors_deviation_times_the_temperature():
    away = drawn(30_000, 2.0) - drawn(30_000, 0.0)
    np.testing.assert_allclose(away.std(axis=0), [0.2, 2.0], rtol=0.03)


def test_equal_seeds_draw_alike():
    np.testing.assert_array_equal(drawn(5, 1.0, 3), drawn(5, 1.0, 3))
    assert drawn(5, 1.0, 3) != pytest.approx(drawn(5, 1.0, 4))
