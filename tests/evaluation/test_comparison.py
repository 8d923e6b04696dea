import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from scipy import stats

from vaeline.errors import VaelineError
from vaeline.evaluation.comparison import Evaluation, compare, compare_classes, holm, mean_interval, summarize_pairs
from vaeline.params.base import flatten
from vaeline.scores import SCORES

COUNT = 1000
GENERATOR = np.random.default_rng(0)
LABELS = np.arange(COUNT) % 10
HARDNESS = GENERATOR.normal(130, 40, COUNT)
NOISE = GENERATOR.normal(0, 5, COUNT)
PROTOCOL = {"test": {"pixels": "grey", "nll_bound": "k = 100"}, "latents": {"latents": "grey"}}


def evaluation(name="baseline", protocol=PROTOCOL, **scores):
    table = pd.DataFrame({"image": np.arange(COUNT), "label": LABELS, **scores})
    return Evaluation(
        name, "mnist", {"images_sha256": "a"}, protocol, table, {label: f"c{label}" for label in range(9)}
    )


def against(baseline, other, score="neg_elbo"):
    return compare([evaluation(**baseline), evaluation("other", **other)], score).overall.set_index("score")


def test_a_pair_of_images_tells_more_than_two_samples():
    row = against({"neg_elbo": HARDNESS}, {"neg_elbo": HARDNESS - 2 + NOISE}).loc["neg_elbo"]
    independent = stats.ttest_ind(HARDNESS - 2 + NOISE, HARDNESS).confidence_interval()
    assert row["high"] - row["low"] < (independent.high - independent.low) / 8
    assert independent.low < 0 < independent.high
    assert row["low"] < -2 < row["high"] < 0


def test_a_known_shift_is_recovered_with_the_interval_of_a_paired_t_test():
    row = against({"neg_elbo": HARDNESS}, {"neg_elbo": HARDNESS + 3 + NOISE}).loc["neg_elbo"]
    expected = stats.ttest_rel(HARDNESS + 3 + NOISE, HARDNESS).confidence_interval()
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    assert row["difference"] == pytest.approx(3 + NOISE.mean()) == pytest.approx(row["mean"] - row["baseline_mean"])
    assert row["improved"] == (NOISE < -3).mean()
    assert row["images"] == COUNT


@pytest.mark.parametrize("shift", [-2.0, 2.0])
def test_better_is_what_each_score_calls_better(shift):
    baseline = dict.fromkeys(("neg_elbo", "probe_accuracy", "kl", "something"), HARDNESS)
    table = against(baseline, dict.fromkeys(baseline, HARDNESS + shift + NOISE))
    words = ("better", "worse") if shift < 0 else ("worse", "better")
    assert table["verdict"].to_dict() == {
        "neg_elbo": words[0],
        "probe_accuracy": words[1],
        "kl": "",
        "something": "",
    }
    assert table.loc["neg_elbo", "improved"] == pytest.approx(1 - table.loc["probe_accuracy", "improved"])
    assert np.isnan(table.loc["kl", "improved"])


def test_accuracies_rise_and_losses_fall_and_trade_offs_have_no_better():
    higher = {name for name, score in SCORES.items() if score.better == "higher"}
    assert higher == {"knn_accuracy", "probe_accuracy", "bayes_accuracy", "guess_accuracy"}
    without = {name for name, score in SCORES.items() if not score.better}
    assert without == {"kl", "one_class", "one_class_latent", "heat_map", "code_bits", "code_mse"}


def test_no_difference_is_shown_where_there_is_none():
    centred = NOISE - NOISE.mean()
    assert against({"neg_elbo": HARDNESS}, {"neg_elbo": HARDNESS + centred}).loc["neg_elbo", "verdict"] == (
        "no difference shown"
    )
    same = against({"neg_elbo": HARDNESS}, {"neg_elbo": HARDNESS}).loc["neg_elbo"]
    assert (same["difference"], same["low"], same["high"], same["improved"]) == (0, 0, 0, 0)
    assert same["verdict"] == "no difference shown"


def test_about_one_interval_in_twenty_misses_the_truth():
    draws = np.random.default_rng(1).normal(1.0, 3.0, (2000, 30))
    missed = [not low < 1 < high for low, high in map(mean_interval, draws)]
    assert 0.035 < np.mean(missed) < 0.065


def test_images_count_where_both_models_scored_them():
    ours, theirs = HARDNESS.copy(), HARDNESS + 1
    ours[:100], theirs[50:200] = np.nan, np.nan
    baseline, other = {"neg_elbo": HARDNESS, "nll": ours}, {"neg_elbo": HARDNESS, "nll": theirs}
    row = against(baseline, other).loc["nll"]
    assert row["images"] == COUNT - 200
    assert row["baseline_mean"] == pytest.approx(HARDNESS[200:].mean())
    assert row["mean"] == pytest.approx(HARDNESS[200:].mean() + 1)
    nowhere = {"neg_elbo": HARDNESS, "nll": np.where(np.isnan(ours), 1.0, np.nan)}
    assert "nll" not in against(baseline, nowhere).index


def test_verdicts_by_class_are_corrected_for_the_number_of_classes():
    other = HARDNESS + NOISE - 30 * (LABELS == 3)
    result = compare([evaluation(neg_elbo=HARDNESS), evaluation("other", neg_elbo=other)], "neg_elbo")
    table = result.by_class.set_index("class")
    assert list(table.index) == [*(f"c{label}" for label in range(9)), "9"]
    assert table.loc["c3", "verdict"] == "better"
    assert table.loc["c3", "difference"] == pytest.approx((NOISE - 30)[LABELS == 3].mean())
    assert table["images"].eq(COUNT // 10).all()
    assert set(table.drop("c3")["verdict"]) == {"no difference shown"}


def test_one_class_in_ten_that_looks_different_by_chance_is_not_called_so():
    differences = np.concatenate([np.tile([-1.0, 1.0], 50) + (0.25 if label == 0 else 0) for label in range(10)])
    table = compare_classes(np.zeros(1000), differences, np.repeat(np.arange(10), 100), "neg_elbo")
    assert table["low"].iloc[0] > 0
    assert 0.05 < table["p_holm"].iloc[0] < 1
    assert table["verdict"].iloc[0] == "no difference shown"
    alone = summarize_pairs(np.zeros(100), differences[:100], "neg_elbo")
    assert alone["verdict"] == "worse"


def test_the_same_difference_on_every_image_is_a_difference():
    table = compare_classes(np.zeros(8), np.repeat([0.0, 2.0], 4), np.repeat([0, 1], 4), "neg_elbo")
    assert list(table["verdict"]) == ["no difference shown", "worse"]
    assert list(table["p_holm"]) == [1, 0]


def test_holm_is_that_of_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]).max() == 1


def test_a_class_with_one_image_has_no_interval_and_no_verdict():
    table = compare_classes(np.zeros(4), np.array([-9.0, 1, 2, 3]), np.array([0, 1, 1, 1]), "neg_elbo")
    assert np.isnan(table.loc[0, "low"])
    assert table.loc[0, "verdict"] == "no difference shown"


@pytest.mark.parametrize(
    "change",
    [
        lambda other: replace(other, test_data={"images_sha256": "b"}),
        lambda other: replace(other, scores=other.scores.iloc[:-1]),
        lambda other: replace(other, scores=other.scores.assign(label=other.scores["label"].to_numpy()[::-1])),
        lambda other: replace(other, scores=other.scores.assign(image=other.scores["image"].to_numpy()[::-1])),
    ],
)
def test_other_test_images_are_refused(change):
    baseline, other = evaluation(neg_elbo=HARDNESS), evaluation("other", neg_elbo=HARDNESS)
    compare([baseline, other], "neg_elbo")
    with pytest.raises(VaelineError, match=r"baseline .* and other .* not scored on the same test images"):
        compare([baseline, change(other)], "neg_elbo")


def test_scores_that_were_measured_differently_are_left_out_by_name():
    scores = dict.fromkeys(("neg_elbo", "nll", "nll_bound", "nll_neg_elbo", "something", "png_bits"), HARDNESS)
    other = evaluation("other", PROTOCOL | {"test": {"pixels": "grey", "nll_bound": "k = 4"}}, **scores)
    result = compare([evaluation(**scores), other], "neg_elbo")
    assert list(result.overall["score"]) == ["neg_elbo", "nll_neg_elbo"]
    why = "in other test.nll_bound is 'k = 4', not 'k = 100' as in baseline"
    assert result.notes == (f"nll, nll_bound, something left out: {why}",)
    with pytest.raises(VaelineError, match=f"nll cannot be compared: {why}"):
        compare([evaluation(**scores), other], "nll")


def test_what_one_protocol_lacks_is_a_difference():
    scores = {"nll_neg_elbo": HARDNESS, "neg_elbo": HARDNESS}
    other = evaluation("other", PROTOCOL | {"test": {"nll_bound": "k = 100"}}, **scores)
    result = compare([evaluation(**scores), other], "nll_neg_elbo")
    assert list(result.overall["score"]) == ["nll_neg_elbo"]
    assert result.notes == ("neg_elbo left out: in other test.pixels is None, not 'grey' as in baseline",)


OF_OTHER_DATA = ("bayes_accuracy", "guess_accuracy", "heat_map")  # of other models and data than those of MNIST's run


@pytest.mark.parametrize("name", [name for name in SCORES if name not in OF_OTHER_DATA])
def test_every_score_is_bound_to_entries_of_the_protocol_that_evaluate_writes(name):
    written = flatten(json.loads((ROOT / "reports/metrics.json").read_text())["protocol"])
    assert set(SCORES[name].protocol) <= set(written)


def test_an_unknown_score_is_refused_and_the_known_ones_are_named():
    with pytest.raises(VaelineError, match=r"no score 'elbo' that both baseline and other have; there are: neg_elbo"):
        against({"neg_elbo": HARDNESS}, {"neg_elbo": HARDNESS}, "elbo")


def test_every_run_is_compared_with_the_first():
    runs = [evaluation(name, neg_elbo=HARDNESS + shift) for name, shift in (("a", 0.0), ("b", 1.0), ("c", -1.0))]
    result = compare(runs, "neg_elbo")
    assert result.overall.set_index("run")["difference"].to_dict() == pytest.approx({"b": 1.0, "c": -1.0})
    assert list(result.differences) == ["b", "c"]
    assert result.baseline == "a"
