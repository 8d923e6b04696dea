import json
from types import SimpleNamespace

import pytest
from conftest import ROOT

from vaeline.closing_table import SENTENCES, group_sentences, print_summary
from vaeline.params.base import flatten

METRICS = {
    "train/loss": 100.0,
    "validation/loss": 101.0,
    "test/neg_elbo": 140.0,
    "test/neg_elbo_se": 0.5,
    "test_class_3/neg_elbo": 150.0,
    "latents/knn_accuracy": 0.875,
    "latents/probe_accuracy": 0.8,
}


def test_each_group_has_its_sentence_in_one_order_whatever_the_order_of_the_metrics():
    found = group_sentences(
        {"codes/usage": 1.0, "ood/hflip.neg_elbo.auroc": 0.75, "ood/rotation.neg_elbo.auroc": 1.0, **METRICS}
    )
    assert found == [
        "latents: 87.5% of test images are classified correctly by their 5 nearest training images",
        "anomalies: the −ELBO detects mirrored images with AUROC 0.75, rotated ones with 1.00",
    ]


def test_defects_are_compared_with_principal_components():
    figures = {"defects/all.heat_map.auroc": 0.7146, "defects/all.pca_heat_map.auroc": 0.742, "defects/all.mse.f1": 0.1}
    assert group_sentences(figures) == [
        "defects: heat maps tell defective images from good ones with AUROC 0.71 (principal components: 0.74)"
    ]


def test_a_group_without_a_sentence_is_shown_by_its_figures():
    assert group_sentences({"sharpness/mean": 0.25, "sharpness/edge": 12.5}) == ["sharpness: edge 12.5, mean 0.25"]
    assert group_sentences({"restoration/box.damaged.psnr": 12.0}) == []


def test_the_table_holds_the_headline_scores_that_the_model_has(capsys):
    info = SimpleNamespace(run_name="vae-2d")
    run = SimpleNamespace(info=info, data=SimpleNamespace(tags={"vaeline.dataset": "digits"}, metrics=METRICS))
    print_summary(run, "vae-digits-candidates", 3)
    output = capsys.readouterr().out
    assert "140.00 ± 0.50" in output
    assert "−ELBO" in output
    assert "NLL" not in output
    assert "vae-digits-candidates v3" in output


@pytest.mark.parametrize(
    ("dataset", "command"), [("mnist", "PRESET=mlp-20d"), ("data/own/parts", "vaeline thresholds")]
)
def test_the_next_command_fits_the_data_set(dataset, command, capsys):
    data = SimpleNamespace(tags={"vaeline.dataset": dataset}, metrics=METRICS)
    print_summary(SimpleNamespace(info=SimpleNamespace(run_name="vae-2d"), data=data), "vae-candidates", 1)
    assert command in capsys.readouterr().out.splitlines()[-1]


def test_the_readme_shows_the_sentences_of_the_committed_metrics():
    metrics = flatten(json.loads((ROOT / "reports/metrics.json").read_text()))
    by_group = {key.replace(".", "/", 1): value for key, value in metrics.items()}
    own = {key: value for key, value in by_group.items() if key.partition("/")[0] in SENTENCES}
    sentences = group_sentences(own)
    assert len(sentences) == 4
    readme = (ROOT / "README.md").read_text()
    assert [sentence for sentence in sentences if f"\n  {sentence}\n" not in readme] == []
