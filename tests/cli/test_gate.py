"""What `vaeline gate` says before it needs a model; what it does with one is in tests/pipeline."""

import shutil

import pytest
from conftest import ROOT
from typer.testing import CliRunner

from vaeline.cli import app
from vaeline.params.whole import change_params


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def gate(*arguments):
    done = CliRunner().invoke(app, ["gate", *arguments])
    return done.exit_code, done.output


def test_it_refuses_to_run_without_thresholds_and_names_them(folder):
    change_params({"gate.margin": None, "gate.floors.auroc": None})
    status, output = gate("1")
    assert status == 1
    assert output == (
        "vaeline: the gate does not run without thresholds; set gate.margin, gate.floors.auroc in params.yaml\n"
    )


def test_without_data_it_is_one_sentence_and_nothing_is_written(folder):
    status, output = gate("1")
    assert status == 1
    assert "data/prepared: no manifest.json; `dvc repro prepare` makes prepared data" in output
    assert "Traceback" not in output
    assert {file.name for file in folder.iterdir()} == {"params.yaml"}


@pytest.mark.usefixtures("processes")
def test_without_a_store_it_is_one_sentence_and_none_is_made(folder, prepared_directory, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(prepared_directory, folder / "data/prepared")
    status, output = gate("1")
    assert status == 1
    assert "no store of runs in" in output
    assert not (folder / "mlflow.db").exists()


def test_the_help_names_the_exit_statuses():
    output = CliRunner().invoke(app, ["gate", "--help"]).output
    for word in ("0 pass", "3 inconclusive", "4 fail"):
        assert word in " ".join(output.split())


@pytest.mark.parametrize("metric", ["kl", "code_bits", "elbo"])
def test_a_metric_without_a_better_direction_is_refused(folder, metric):
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("metric: nll_bound", f"metric: {metric}"))
    status, output = gate("1")
    assert status == 1
    assert "gate.metric" in output
