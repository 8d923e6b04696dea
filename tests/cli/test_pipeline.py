import json

import numpy as np
import pytest
from conftest import ROOT
from typer.testing import CliRunner

from vaeline.cli import app


@pytest.fixture
def invoke(monkeypatch):
    monkeypatch.chdir(ROOT)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_validate_passes_good_images_and_fails_bad_ones_with_a_report(invoke, digits, tmp_path):
    good, bad = tmp_path / "good.npz", tmp_path / "bad.npz"
    np.savez(good, images=digits.images, labels=digits.labels)
    images = digits.images.copy()
    images[::100] = 255 - images[::100]
    np.savez(bad, images=images, labels=digits.labels)

    answer = invoke("validate", good, "--profile", "digits", "--out", tmp_path / "a")
    assert (answer.exit_code, "meets" in answer.output) == (0, True), answer.output
    answer = invoke("validate", bad, "--profile", "digits", "--out", tmp_path / "b")
    assert answer.exit_code == 1
    assert "FAILED border of every image: 18 of 1797 images, such as border = 255, 255, 255; images all/0, all/100" in (
        answer.output
    )
    assert json.loads((tmp_path / "b/validation.json").read_text())["status"] == "failed"
    assert (tmp_path / "b/contact_sheet.png").is_file()
    assert (tmp_path / "b/docs/index.html").is_file()


def test_validate_asks_images_without_labels_nothing_about_labels_and_says_so(invoke, digits, tmp_path):
    good, bad = tmp_path / "good.npz", tmp_path / "bad.npz"
    np.savez(good, images=digits.images)
    np.savez(bad, images=np.concatenate([np.zeros_like(digits.images[:1]), digits.images[1:]]))

    answer = invoke("validate", good, "--profile", "digits", "--out", tmp_path / "a")
    assert answer.exit_code == 0, answer.output
    assert "good.npz has no labels, so labels, classes" in answer.output.replace("\n", "")
    answer = invoke("validate", bad, "--profile", "digits", "--out", tmp_path / "b")
    assert answer.exit_code == 1
    assert "FAILED max of every image: 1 of 1797 images" in answer.output
    assert "class" not in answer.output.partition("FAILED")[2]


def test_validate_reads_prepared_arrays_and_their_splits(invoke, prepared_directory, tmp_path):
    answer = invoke("validate", prepared_directory, "--profile", "digits", "--out", tmp_path)
    assert answer.exit_code == 0, answer.output
    assert json.loads((tmp_path / "validation.json").read_text())["rows"]["train"] == 1372


def test_a_summary_of_nothing_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(app, ["summary"])
    assert answer.exit_code == 1
    assert "nothing was registered here yet; run `dvc repro`" in answer.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["validate", "nowhere", "--profile", "digits"], "nowhere: no such file or folder"),
        (["validate", "data", "--profile", "odd"], "odd.yaml: no such profile (there are: digits, fashion_mnist"),
        (["profile", "data", "--name", "digits"], "data/profiles/digits.yaml exists; --force overwrites it"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_status_one(invoke, arguments, sentence):
    answer = invoke(*arguments)
    assert answer.exit_code == 1
    assert sentence in answer.output.replace("\n", " ")
