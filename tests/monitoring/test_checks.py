import pytest

from vaeline.monitoring.checks import check_window, is_triggered, is_violated, judge
from vaeline.monitoring.scores import observe
from vaeline.monitoring.two_sample_tests import TwoSampleResult


def finding(name="kl", p=1e-6, effect=0.5):
    return TwoSampleResult(name, 1.0, p, effect)


def test_a_violation_takes_a_test_and_an_effect(settings):
    sure, large = 1e-6, settings.least_effects.scores + 0.01
    assert [each.violated for each in judge([finding(p=sure, effect=large)], settings)] == [True]
    assert [each.violated for each in judge([finding(p=sure, effect=large - 0.02)], settings)] == [False]
    assert [each.violated for each in judge([finding(p=0.2, effect=large)], settings)] == [False]


def test_p_values_are_corrected_for_all_tests_of_the_window(settings):
    p = settings.alpha / 3
    alone = judge([finding(p=p)], settings)
    among = judge([finding(p=p), *(finding(p=0.9) for _ in range(6))], settings)
    assert alone[0].violated
    assert not is_violated(among)
    assert among[0].p_adjusted == pytest.approx(7 * p)


def test_every_test_has_a_least_effect_of_its_own(settings):
    names = ["neg_elbo", "reconstruction", "kl", "unusual", "latents", "class_mix", "labels"]
    effects = settings.least_effects
    found = {each.name: each.least_effect for each in judge([finding(name) for name in names], settings)}
    assert [found[name] for name in names[:3]] == [effects.scores] * 3
    assert [found[name] for name in names[3:]] == [effects.unusual, effects.latents, effects.class_mix, effects.labels]


@pytest.mark.parametrize(
    ("violated", "expected"),
    [("", False), ("1", False), ("11", True), ("1001", False), ("101", True), ("1100", False), ("0110", True)],
)
def test_the_trigger_is_two_of_the_last_three(violated, expected):
    assert is_triggered([mark == "1" for mark in violated], 2, 3) is expected


@pytest.mark.parametrize("kind", ["rotated", "thicker", "class_mix", "noisy", "poisoned"])
def test_every_drift_is_told_from_a_clean_window(kind, small_model, digits, batch, settings):
    reference = observe(small_model, digits.images[:900], digits.labels[:900].astype("int64"), 1)
    strength = {"rotated": 30.0, "class_mix": 0.5, "thicker": 1.0}.get(kind)
    verdicts = {}
    for name, drift in ((kind, strength), ("clean", None)):
        drawn = batch(name, 300, 3, drift)
        verdicts[name] = check_window(reference, observe(small_model, drawn.images, drawn.labels, 1), settings)
    assert is_violated(verdicts[kind])
    assert not is_violated(verdicts["clean"])
    expected = {"class_mix": "class_mix", "poisoned": "labels"}.get(kind, "neg_elbo")
    assert expected in {each.name for each in verdicts[kind] if each.violated}


def test_the_same_window_has_the_same_verdict(small_model, digits, settings):
    reference, window = (observe(small_model, digits.images[rows], None, 1) for rows in (slice(600), slice(600, 800)))
    assert check_window(reference, window, settings) == check_window(reference, window, settings)
