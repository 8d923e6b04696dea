"""`vaeline compare` on the runs of real small pipelines."""

import pandas as pd
import pytest
from pipeline.workspace import copy_workspace


@pytest.fixture(scope="module")
def names(two_runs):
    newer, older = two_runs.runs()
    return older.info.run_name, newer.info.run_name


@pytest.fixture(scope="module")
def output(two_runs, names):
    return two_runs.run("vaeline", "compare", *names)


def test_the_tables_name_both_runs_and_where_everything_is(output, names):
    for part in (
        f"{names[1]} against {names[0]} on the test set of digits",
        "−ELBO by class",
        "Files: reports/comparison    In MLflow: comparison/",
        "http://127.0.0.1:5000/#/compare-runs?runs=",
        "another seed gives another model",
    ):
        assert part in output


def test_the_files_hold_what_the_scores_say(output, names, two_runs):
    table = pd.read_csv(two_runs.root / "reports/comparison/comparison.csv").set_index("score")
    newer, older = two_runs.runs()
    assert table.loc["nll_bound", "images"] < table.loc["neg_elbo", "images"]
    assert "nll" not in table.index, "an exact NLL and a bound are not compared"
    for name in ("test/neg_elbo", "test/nll_bound", "test/kl", "latents/probe_accuracy", "compression/code_bits"):
        score, difference = name.split("/")[1], newer.data.metrics[name] - older.data.metrics[name]
        assert table.loc[score, "difference"] == pytest.approx(difference, abs=1e-4)
    by_class = pd.read_csv(two_runs.root / "reports/comparison/per_class.csv", dtype={"class": str})
    assert list(by_class["class"]) == [str(digit) for digit in range(10)]
    assert by_class["images"].sum() == table.loc["neg_elbo", "images"]
    page = (two_runs.root / "reports/comparison/comparison.md").read_text()
    assert f"## {names[1]} against {names[0]}" in page
    assert "![Paired differences](comparison.png)" in page


def test_the_newer_run_keeps_them_however_often_and_wherever_it_stands(output, names, two_runs):
    two_runs.run("vaeline", "compare", *names)
    two_runs.run("vaeline", "compare", ".", names[0], "--out", "elsewhere")
    newer, older = two_runs.runs()
    client = two_runs.client()
    assert {item.path for item in client.list_artifacts(newer.info.run_id, "comparison")} == {
        f"comparison/{name}" for name in names
    }
    kept = client.list_artifacts(newer.info.run_id, f"comparison/{names[0]}")
    assert [item.path.split("/")[-1] for item in kept] == [
        "comparison.csv",
        "comparison.md",
        "comparison.png",
        "per_class.csv",
    ]
    assert not client.list_artifacts(older.info.run_id, "comparison")
    turned = pd.read_csv(two_runs.root / "elsewhere/comparison.csv").set_index("score")["difference"]
    straight = pd.read_csv(two_runs.root / "reports/comparison/comparison.csv").set_index("score")["difference"]
    assert (turned + straight).abs().max() < 1e-9


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{0}"], "is only one run; name the baseline and at least one other"),
        (["{0}", "missing"], "vaeline: there is no run 'missing' in sqlite:///"),
        (["{0}", "{1}", "--out", "dvc.yaml"], "vaeline: dvc.yaml: cannot be written (File exists)"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence_and_writes_nothing(two_runs, names, arguments, sentence):
    filled = [argument.format(*names) for argument in arguments]
    output = two_runs.run("vaeline", "compare", "--out", "untouched", *filled, check=False)
    assert sentence in output
    assert "Traceback" not in output
    assert not (two_runs.root / "untouched").exists()


def test_files_of_another_model_are_not_compared(two_runs, names, tmp_path):
    workspace = copy_workspace(two_runs, tmp_path)
    metrics = workspace.root / "reports/metrics.json"
    metrics.write_text(metrics.read_text() + " ")
    output = workspace.run("vaeline", "compare", names[0], "local", check=False)
    assert "reports/scores.parquet does not belong to the model on disk; `dvc repro evaluate` makes it" in output
