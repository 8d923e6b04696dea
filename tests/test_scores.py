import pandas as pd
import pytest
from conftest import ROOT

from vaeline.errors import VaelineError
from vaeline.params.whole import parse_params
from vaeline.scores import JUDGED, KEYS, MODEL_FREE, OOD_SCORES, SCORES, better_direction, loss_of, title_of, unit_of


def gate_with(params, **changes):
    values = params.model_dump(by_alias=True)
    return parse_params({**values, "gate": {**values["gate"], **changes}}).gate


@pytest.mark.parametrize("metric", JUDGED)
def test_every_score_with_a_better_direction_can_be_the_metric_of_the_gate(params, metric):
    assert SCORES[metric].better in ("lower", "higher")
    assert gate_with(params, metric=metric).metric == metric


@pytest.mark.parametrize("metric", [*sorted(set(SCORES) - set(JUDGED)), "nl"])
def test_no_other_score_can_and_the_error_names_the_nearest(params, metric):
    with pytest.raises(VaelineError, match=r"gate\.metric: .*(did you mean|valid)"):
        gate_with(params, metric=metric)


def test_the_score_for_ood_images_is_one_that_grows_with_how_unusual_they_are(params):
    for name in OOD_SCORES:
        assert gate_with(params, ood_score=name).ood_score == name
    with pytest.raises(VaelineError, match=r"gate\.ood_score: .*did you mean 'one_class'"):
        gate_with(params, ood_score="one_clas")


def test_a_score_that_the_table_does_not_have_keeps_its_name_and_gets_no_verdict():
    assert title_of("wonder") == "wonder"
    assert unit_of("wonder") == "unit unknown"
    assert better_direction("wonder") == ""


def test_the_loss_is_the_bound_or_else_the_reconstruction():
    assert loss_of(["kl", "reconstruction", "neg_elbo"]) == "neg_elbo"
    assert loss_of(["mse", "reconstruction"]) == "reconstruction"


def test_titles_differ_and_each_score_says_how_it_was_measured():
    titles = [score.title for score in SCORES.values()]
    assert len(set(titles)) == len(titles)
    assert all(score.protocol for score in SCORES.values())


def test_every_column_of_the_committed_scores_is_in_the_table():
    file = ROOT / "reports/scores.parquet"
    if not file.is_file():
        pytest.skip("no scores here; `dvc repro evaluate` makes them")
    assert set(pd.read_parquet(file)) <= {*SCORES, *KEYS, *MODEL_FREE}
