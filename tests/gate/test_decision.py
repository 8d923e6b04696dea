"""What follows from scores and thresholds, on scores that are made up; whole contests are in tests/pipeline."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from vaeline.errors import VaelineError
from vaeline.evaluation.comparison import Evaluation
from vaeline.gate.checks import Check, improvement_checks, worst_check
from vaeline.gate.decision import Decision
from vaeline.gate.policy import evaluation_settings, least_gain, policy, require_thresholds
from vaeline.gate.scores import gain_over_worst, improve
from vaeline.gate.statistics import FAIL, INCONCLUSIVE, PASS

COUNT = 500
RNG = np.random.default_rng(1)
LABELS = np.arange(COUNT) % 10
HARDNESS = RNG.normal(130, 40, COUNT)
NOISE = RNG.normal(0, 4, COUNT)
PROTOCOL = {"test": {"nll_pixels": "binary", "nll_bound": "k = 5", "pixels": "grey"}}


def scored(values, name="model", metric="nll_bound"):
    table = pd.DataFrame({"image": np.arange(COUNT), "label": LABELS, metric: values})
    evaluation = Evaluation(name, "mnist", {"images_sha256": "a"}, PROTOCOL, table)
    subject = SimpleNamespace(labels=LABELS, classes=[f"c{label}" for label in range(10)])
    return SimpleNamespace(evaluation=evaluation, subject=subject, mean=float(values.mean()))


@pytest.fixture
def gate(params):
    changes = {"min_gain": 1.0, "margin": 1.0, "slice_margin": 6.0, "worst": 140.0, "resamples": 300}
    return params.gate.model_copy(update=changes)


def verdicts(candidates, champion, gate):
    checks = improvement_checks(improve(candidates, champion, gate), candidates[0].evaluation.name, gate)
    return {check.name: check.verdict for check in checks}


@pytest.mark.parametrize(
    ("gain", "superior", "non_inferior"),
    [
        (3.0, PASS, PASS),
        (1.0, INCONCLUSIVE, PASS),
        (0.0, INCONCLUSIVE, PASS),
        (-1.0, INCONCLUSIVE, INCONCLUSIVE),
        (-3.0, FAIL, FAIL),
    ],
)
def test_the_mode_says_what_a_pass_takes(gate, gain, superior, non_inferior):
    champion, candidate = scored(HARDNESS), scored(HARDNESS - gain + NOISE - NOISE.mean())
    assert verdicts([candidate], champion, gate) == {"improvement": superior, "slices": PASS}
    relaxed = gate.model_copy(update={"mode": "non_inferior"})
    assert verdicts([candidate], champion, relaxed)["improvement"] == non_inferior


def test_a_higher_accuracy_is_a_gain(gate):
    gate = gate.model_copy(update={"metric": "knn_accuracy", "min_gain": 0.02, "margin": 0.02, "slice_margin": 0.9})
    worse, better = (RNG.random(COUNT) < 0.6).astype(float), (RNG.random(COUNT) < 0.9).astype(float)
    models = {name: scored(values, name, "knn_accuracy") for name, values in (("worse", worse), ("better", better))}
    for model in models.values():
        model.evaluation.protocol.update({"latents": {"latents": "grey", "knn": "5"}})
    assert verdicts([models["better"]], models["worse"], gate)["improvement"] == PASS
    assert verdicts([models["worse"]], models["better"], gate)["improvement"] == FAIL


def test_the_sentence_of_an_improvement_has_its_bounds_and_what_is_asked(gate):
    champion, candidate = scored(HARDNESS), scored(HARDNESS - 2 + NOISE - NOISE.mean())
    found = improve([candidate], champion, gate)
    check = improvement_checks(found, "model", gate)[0]
    assert (check.value, check.limit) == (pytest.approx(2.0), 1.0)
    assert check.sentence == (
        f"gain +2 nats, above {found.gain.low:+.4g} and below {found.gain.high:+.4g} with 95 % confidence each; a pass "
        "requires a gain above +1"
    )
    assert found.gain.low == pytest.approx(2 - 1.645 * 4 / np.sqrt(COUNT), abs=0.06)


def test_a_better_mean_does_not_buy_the_loss_of_a_digit(gate):
    champion, candidate = scored(HARDNESS), scored(HARDNESS - 5 + NOISE + 20 * (LABELS == 4))
    checks = improvement_checks(improve([candidate], champion, gate), "model", gate)
    by_name = {check.name: check for check in checks}
    assert (by_name["improvement"].verdict, by_name["slices"].verdict) == (PASS, FAIL)
    assert by_name["slices"].sentence.startswith("these classes lose more than 6 nats after Holm's correction: c4; the")
    assert by_name["slices"].value == pytest.approx(-15, abs=2)


def test_several_seeds_are_judged_by_their_mean_and_the_first_by_itself_too(gate):
    champion = scored(HARDNESS)
    lucky, fair, poor = (scored(HARDNESS - gain + NOISE, f"s{gain}") for gain in (6.0, 4.0, 2.0))
    found = verdicts([lucky, fair, poor], champion, gate)
    assert found == {"improvement": INCONCLUSIVE, "slices": PASS, "seed": PASS}
    assert verdicts([lucky], champion, gate)["improvement"] == PASS
    close = [scored(HARDNESS - gain + NOISE) for gain in (3.1, 3.0, 2.9)]
    assert verdicts(close, champion, gate)["improvement"] == PASS
    bad = scored(HARDNESS + 3 + NOISE - NOISE.mean(), "bad")
    high = [scored(HARDNESS - gain + NOISE) for gain in (30.0, 30.1)]
    assert verdicts([bad, *high], champion, gate)["seed"] == FAIL
    assert "seed" not in verdicts([bad], champion, gate)


@pytest.mark.parametrize(("mean", "verdict"), [(120, PASS), (140, INCONCLUSIVE), (160, FAIL)])
def test_no_version_may_be_worse_than_the_worst_champion_or_not(gate, mean, verdict):
    values = HARDNESS - HARDNESS.mean() + mean
    check = worst_check(*gain_over_worst([scored(values)], gate), gate)
    assert (check.verdict, check.limit) == (verdict, 140.0)
    assert check.value == pytest.approx(mean)
    assert "a pass requires better than 140 with 95 % confidence" in check.sentence


def test_a_class_of_one_scored_image_is_refused_with_what_to_do(gate):
    values = HARDNESS.copy()
    values[LABELS == 3] = np.nan
    values[3] = 130.0
    with pytest.raises(VaelineError, match=r"the label 3 has a single image; raise gate\.nll_images"):
        improve([scored(values)], scored(values), gate)


def test_the_verdict_follows_from_the_checks():
    def decision(*words):
        checks = [Check(str(index), word, None, None, "") for index, word in enumerate(words)]
        return Decision(None, None, None, checks)

    assert decision(PASS, PASS).verdict == PASS
    assert decision(PASS, INCONCLUSIVE).verdict == INCONCLUSIVE
    assert decision(INCONCLUSIVE, FAIL).verdict == FAIL


def test_a_gate_without_thresholds_does_not_run_and_names_them(params):
    require_thresholds(params.gate)
    floors = params.gate.floors.model_copy(update={"kl": None})
    gate = params.gate.model_copy(update={"min_gain": None, "floors": floors})
    with pytest.raises(VaelineError, match=r"without thresholds; set gate\.min_gain, gate\.floors\.kl in params\.yaml"):
        require_thresholds(gate)


def test_the_policy_is_all_that_a_verdict_depends_on(params):
    settings = evaluation_settings(params)
    assert (settings.nll_images, settings.nll_samples) == (params.gate.nll_images, params.gate.nll_samples)
    assert policy(params) == {"gate": params.gate.model_dump(), "evaluate": settings.model_dump()}
    assert least_gain(params.gate) == params.gate.min_gain
    relaxed = params.gate.model_copy(update={"mode": "non_inferior"})
    assert least_gain(relaxed) == -params.gate.margin
