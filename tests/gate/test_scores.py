"""Scores of the gate are those of the stage `evaluate`, of the same rows with the same noise."""

import dataclasses

import keras
import numpy as np
import pytest

from vaeline.classifier.network import Classifier
from vaeline.data.sources import MNIST_IMAGE
from vaeline.defects.measure import defects_auroc
from vaeline.errors import VaelineError
from vaeline.evaluation.subject import Subject
from vaeline.gate.checks import anomaly_check, collapse_checks, finite_check
from vaeline.gate.policy import evaluation_settings
from vaeline.gate.scores import anomaly_auroc, metric_scores, paired_scores, score_model
from vaeline.gate.statistics import FAIL, PASS
from vaeline.likelihood.measure import measure_likelihood
from vaeline.models.build import build_model
from vaeline.models.vae import VAE
from vaeline.params.model import ModelParams

TEST_DATA = {"images_sha256": "a", "labels_sha256": "b"}


@pytest.fixture(scope="module")
def gate_params(params):
    gate = params.gate.model_copy(update={"nll_images": 60, "nll_samples": 5})
    evaluate = params.evaluate.model_copy(update={"grid_points": 32})
    return params.model_copy(update={"gate": gate, "evaluate": evaluate})


@pytest.fixture(scope="module")
def classifier():
    return Classifier(image=MNIST_IMAGE, classes=10, width=4)


def score(model, prepared, classifier, params, name="model", metric="nll_bound"):
    params = params.model_copy(update={"gate": params.gate.model_copy(update={"metric": metric})})
    return score_model(Subject(model, prepared, params.evaluate.seed), name, TEST_DATA, classifier, params)


def test_scores_are_those_that_the_stage_evaluate_gives(small_model, prepared, classifier, gate_params):
    found = score(small_model, prepared, classifier, gate_params)
    stage = measure_likelihood(
        Subject(small_model, prepared, gate_params.evaluate.seed), evaluation_settings(gate_params)
    )
    for name in ("neg_elbo", "kl", "nll_bound", "nll_neg_elbo"):
        np.testing.assert_array_equal(found.evaluation.scores[name], stage.columns[name])
    assert found.kl == stage.metrics["kl"]
    assert found.active_units == stage.metrics["active_units"] == 2
    assert found.nonfinite == 0
    assert np.isfinite(found.evaluation.scores["nll_bound"]).sum() == 60
    assert found.mean == pytest.approx(np.nanmean(stage.columns["nll_bound"]))
    assert found.evaluation.protocol["test"]["nll_bound"] == "importance-weighted, k = 5, 60 images"


def test_the_exact_nll_is_summed_where_it_is_the_metric_alone(small_model, prepared, classifier, gate_params):
    bound = score(small_model, prepared, classifier, gate_params)
    exact = score(small_model, prepared, classifier, gate_params, metric="nll")
    assert bound.evaluation.scores["nll"].isna().sum() == len(bound.evaluation.scores) - 60
    assert exact.evaluation.scores["nll"].notna().all()
    scored = bound.evaluation.scores["nll"].notna()
    assert exact.evaluation.scores["nll"][scored].mean() < bound.mean


def test_two_models_meet_each_image_with_the_same_noise(small_model, prepared, classifier, gate_params):
    one, two = (score(small_model, prepared, classifier, gate_params, name) for name in ("one", "two"))
    ours, theirs, labels = paired_scores(one, [two, two], "nll_bound")
    assert theirs.shape == (2, 60)
    np.testing.assert_array_equal(ours, theirs[0])
    scored = np.isfinite(one.evaluation.scores["nll_bound"])
    np.testing.assert_array_equal(labels, prepared.splits["test"].labels[scored])


def test_scores_that_were_measured_otherwise_or_of_other_rows_are_not_compared(
    small_model, prepared, classifier, gate_params
):
    one = score(small_model, prepared, classifier, gate_params, "one")
    more = gate_params.model_copy(update={"gate": gate_params.gate.model_copy(update={"nll_samples": 6})})
    with pytest.raises(VaelineError, match=r"nll_bound cannot be compared: in two test\.nll_bound is .*k = 6"):
        paired_scores(one, [score(small_model, prepared, classifier, more, "two")], "nll_bound")
    elsewhere = dataclasses.replace(one, evaluation=dataclasses.replace(one.evaluation, test_data={}))
    with pytest.raises(VaelineError, match="were not scored on the same test images"):
        paired_scores(one, [elsewhere], "nll_bound")


@pytest.mark.parametrize(("name", "row"), [("nll_bound", "scored"), ("kl", "any"), ("neg_elbo", "any")])
def test_a_score_that_is_no_number_is_found_and_named(
    small_model, prepared, classifier, gate_params, monkeypatch, name, row
):
    def spoilt(subject, settings, exact=True):
        part = measure_likelihood(subject, settings, exact)
        index = np.flatnonzero(np.isfinite(part.columns["nll_bound"]))[0] if row == "scored" else 0
        part.columns[name][index] = np.inf if row == "scored" else np.nan
        return part

    well = score(small_model, prepared, classifier, gate_params, "well")
    monkeypatch.setattr("vaeline.gate.scores.measure_likelihood", spoilt)
    ill = score(small_model, prepared, classifier, gate_params, "ill")
    assert (well.nonfinite, ill.nonfinite) == (0, 1)
    assert finite_check([well]).verdict == PASS
    check = finite_check([well, ill])
    assert (check.verdict, check.sentence) == (FAIL, "ill has 1 images with a score that is not finite")


def test_a_collapsed_posterior_fails_by_name(small_model, prepared, classifier, gate_params):
    settings = small_model.params.model_dump() | {"width": 16}
    collapsed = VAE(settings, MNIST_IMAGE, seed=1)
    weights = {weight.path: weight for weight in collapsed.encoder.trainable_variables}
    for weight in weights.values():
        weight.assign(np.zeros(weight.shape))
    found = score(collapsed, prepared, classifier, gate_params)
    assert {check.name: check.verdict for check in collapse_checks(found, gate_params.gate)} == {
        "kl": FAIL,
        "active_units": FAIL,
    }
    well = score(small_model, prepared, classifier, gate_params)
    assert {check.verdict for check in collapse_checks(well, gate_params.gate)} == {PASS}


def test_the_nats_of_a_label_are_no_information_about_the_image(conditional_model, prepared, classifier, gate_params):
    found = score(conditional_model, prepared, classifier, gate_params)
    assert found.kl == pytest.approx(found.evaluation.scores["kl"].mean() - np.log(10), abs=1e-4)


def test_a_model_without_the_metric_is_refused_in_a_sentence(params, prepared, classifier, gate_params):
    settings = ModelParams.model_validate(params.model.model_dump() | {"kind": "autoencoder", "width": 16, "depth": 1})
    keras.utils.set_random_seed(1)  # with other first weights, fewer latents may differ between images
    model = build_model(settings, MNIST_IMAGE, 10, 1)
    with pytest.raises(VaelineError, match=r"one \(autoencoder, .*\) has no score nll_bound, .*one of .*mse"):
        score(model, prepared, classifier, gate_params, "one")
    found = score(model, prepared, classifier, gate_params, metric="mse")
    assert found.kl is None
    assert {check.name: check.verdict for check in collapse_checks(found, gate_params.gate)} == {
        "kl": FAIL,
        "active_units": PASS,
    }


def test_an_accuracy_of_latents_can_be_the_metric(small_model, prepared, classifier, gate_params):
    found = score(small_model, prepared, classifier, gate_params, metric="knn_accuracy")
    values, labels = metric_scores([found], "knn_accuracy")
    assert set(np.unique(values)) == {0.0, 1.0}
    assert len(labels) == values.shape[1] == len(prepared.splits["test"].labels)


@pytest.fixture
def with_defects(prepared):
    """The digits as pictures of parts: zeros are good, and all others are defects."""
    return dataclasses.replace(prepared, manifest=prepared.manifest | {"good": "0"})


def test_a_model_of_good_images_is_judged_by_good_images(small_model, prepared, with_defects, classifier, gate_params):
    of_all = score(small_model, prepared, classifier, gate_params, metric="reconstruction")
    of_good = score(small_model, with_defects, classifier, gate_params, metric="reconstruction")
    values, labels = metric_scores([of_good], "reconstruction")
    assert set(labels) == {0}
    expected = of_all.evaluation.scores.query("label == 0")["reconstruction"]
    np.testing.assert_array_equal(values[0], expected)
    assert of_good.mean == pytest.approx(expected.mean())
    assert of_good.nonfinite == 0


def test_the_gate_can_ask_for_defects(small_model, prepared, with_defects, classifier, gate_params):
    gate = gate_params.gate.model_copy(update={"ood_kind": "defects", "ood_score": "heat_map"})
    scored = score(small_model, with_defects, classifier, gate_params)
    assert anomaly_auroc(scored, {}, gate) == defects_auroc(scored.subject)
    without = score(small_model, prepared, classifier, gate_params)
    with pytest.raises(VaelineError, match=r"no defective test images.*choose an alteration, such as hflip"):
        anomaly_auroc(without, {}, gate)


def test_strange_images_are_told_by_the_score_and_kind_that_were_asked_for(
    small_model, prepared, classifier, gate_params
):
    scored = score(small_model, prepared, classifier, gate_params)

    def auroc(**changes):
        gate = gate_params.gate.model_copy(update=changes)
        return anomaly_check(anomaly_auroc(scored, {}, gate), gate)

    noise, mirrored = auroc(ood_kind="noise", ood_score="neg_elbo"), auroc(ood_kind="hflip", ood_score="kl")
    assert noise.value > 0.99 > mirrored.value
    assert noise.verdict == PASS
    assert "AUROC of kl on hflip" in mirrored.sentence
    with pytest.raises(VaelineError, match=r"gate\.ood_kind: no such alteration.*did you mean 'vflip'"):
        auroc(ood_kind="vflp", ood_score="kl")
