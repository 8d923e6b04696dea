"""What changed between two commits of a project that looks trained: the page, and what it does without files."""

import base64
import json
import re
import shutil
from pathlib import Path

import pytest
from tracking.project import Project, enter, make_project
from typer.testing import CliRunner

from vaeline.artifacts import digest
from vaeline.changes.differences import changed_inputs, changed_metrics, changed_params
from vaeline.changes.report import build_report
from vaeline.changes.state import PipelineState, committed_state, present_state
from vaeline.cli import app
from vaeline.errors import VaelineError
from vaeline.pages import Gallery, Heading, Picture, Sentence, Table, write_html, write_markdown

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def template(processes, tmp_path_factory) -> Path:
    """A commit of a training with loss 100, and one with another seed, other code and loss 90."""
    project = make_project(tmp_path_factory.mktemp("changes") / "project")
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter(project.root, monkeypatch)
        project.record("Train one", seed=1, loss=100.0)
        project.record("Train another", seed=2, loss=90.0, code="print(2)")
    return project.root


@pytest.fixture
def project(template, tmp_path, monkeypatch) -> Project:
    shutil.copytree(template, tmp_path / "project", symlinks=True)
    enter(tmp_path / "project", monkeypatch)
    return Project(tmp_path / "project")


def page(minutes=None) -> str:
    return write_markdown(build_report(committed_state("HEAD~1"), present_state(), minutes or {}))


def test_the_page_says_what_went_in_and_what_came_out(project):
    text = page()
    assert re.match(r"# What changed since HEAD~1 \([0-9a-f]{7}\)\n", text)
    assert "| train.seed | 1 | 2 |" in text
    assert "| src/models | code | train |" in text
    assert "| models/vae.keras | data | evaluate, plot |" in text
    assert "101.00 before, 91.00 now; difference -10.00" in text
    assert "on the same 3 test images: better." in text


def test_the_same_model_is_called_the_same(project):
    text = write_markdown(build_report(committed_state("HEAD"), present_state(), {}))
    assert "The model is the same, byte for byte." in text
    assert text.count("Nothing.") == 3


def test_files_that_are_gone_are_named_and_the_rest_is_shown(project):
    shutil.rmtree(project.root / ".dvc/cache")
    text = page()
    base = committed_state("HEAD~1").name
    assert text.count(f"The scores of {base} are not here; `dvc fetch` gets them.") == 1
    assert f"The history of {base} is not here" in text
    assert "| train.seed | 1 | 2 |" in text
    assert "| test.neg_elbo |" in text


def test_only_a_gate_report_about_this_model_is_shown(project):
    check = {"name": "kl", "verdict": "fail", "sentence": "the posterior | has collapsed"}
    report = {"verdict": "fail", "champion": None, "created": "2026-11-21", "checks": [check]}
    digests = {"now": digest(project.root / "models/vae.keras"), "another": "0" * 64}
    for which, shown in (("another", False), ("now", True)):
        report["candidate"] = {"model_digest": digests[which]}
        project.write("reports/gate.json", json.dumps(report))
        text = page()
        assert ("Gate: fail." in text) == shown
        assert ("| kl | fail | the posterior \\| has collapsed |" in text) == shown
        assert ("Gate: it has not judged this model." in text) != shown


def test_drift_is_told_with_its_effects(project):
    test = {"name": "neg_elbo", "p_adjusted": 0.001, "effect": 0.4, "least_effect": 0.2, "violated": True}
    window = {"source": "week 7", "rows": 500}
    project.write("reports/monitor.json", json.dumps({"window": window, "tests": [test], "triggered": True}))
    text = page()
    assert "Drift: triggered; newest window week 7 of 500 images: violated by neg_elbo." in text
    assert "| neg_elbo | 0.001 | 0.4 | 0.2 |" in text


def test_minutes_are_shown_where_they_are_known(project):
    assert "| training, minutes | – | 2.5 |" in page({"now": 2.5})


@pytest.mark.parametrize(
    ("base", "sentence"),
    [("nowhere", "git has no such commit"), ("HEAD~2", "has no dvc.lock and no params.yaml and no reports/metrics")],
)
def test_a_base_that_cannot_be_read_is_refused(project, base, sentence):
    with pytest.raises(VaelineError, match=f"--base {base}.*{sentence}"):
        committed_state(base)


def test_a_place_where_nothing_ran_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VaelineError, match=r"no dvc.lock and no params.yaml .* run `dvc repro`"):
        present_state()


def test_an_output_that_was_edited_is_not_taken_for_what_the_lock_records(project):
    project.write("reports/history.csv", "epoch,loss,val_loss\n1,0,0\n")
    assert present_state().table("reports/history.csv")["val_loss"].tolist() == [3, 2]


def test_the_command_writes_a_page_with_its_pictures_inside_and_one_with_them_beside(project):
    answer = CliRunner().invoke(app, ["report", "--base", "HEAD~1"], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    folder = project.root / "reports/change"
    inside = re.findall(r'src="data:image/png;base64,([^"]+)"', (folder / "change.html").read_text())
    beside = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (folder / "change.md").read_text())
    assert len(inside) == len(beside) > 0
    assert "http" not in re.sub(r'base64,[^"]+', "", (folder / "change.html").read_text())
    for content, name in zip(inside, beside, strict=True):
        assert base64.b64decode(content) == (folder / name).read_bytes()
        assert (folder / name).read_bytes().startswith(PNG)
    assert CliRunner().invoke(app, ["report", "--base", "nowhere"]).exit_code == 1


def state(metrics=None, params=None, stages=None) -> PipelineState:
    return PipelineState("now", stages or {}, params or {}, metrics or {}, {})


def test_a_difference_has_the_interval_of_both_errors_and_is_shown_only_beyond_it():
    base = state({"samples": {"frechet": 10.0, "frechet_se": 3.0, "kid": 1.0, "kid_se": 3.0, "same": 1.0}})
    present = state({"samples": {"frechet": 30.0, "frechet_se": 4.0, "kid": 2.0, "kid_se": 4.0, "same": 1.0}})
    table = changed_metrics(base, present, set()).set_index("figure")
    assert table.index.tolist() == ["samples.frechet", "samples.kid"]
    assert table.loc["samples.frechet"].tolist() == ["10.0", "30.0", "+20.0", "+10.2 to +29.8", "yes"]
    assert table.loc["samples.kid", "significant"] == "no"


def test_a_figure_that_was_paired_is_not_told_twice():
    base, present = state({"test": {"nll": 1.0, "units": 1}}), state({"test": {"nll": 2.0, "units": 2}})
    assert changed_metrics(base, present, {"nll"})["figure"].tolist() == ["test.units"]


def test_parameters_that_one_side_lacks_are_shown():
    table = changed_params(state(params={"a": 1, "b": 2}), state(params={"b": 2, "c": 3}))
    assert table.to_numpy().tolist() == [["a", "1", "–"], ["c", "–", "3"]]


def test_data_stand_before_code():
    def stages(md5):
        deps = [{"path": path, "md5": md5} for path in ("src/a.py", "data/raw")]
        return {
            "fetch": {"cmd": "", "outs": [{"path": "data/raw", "md5": md5}]},
            "prepare": {"cmd": "", "deps": deps},
        }

    table = changed_inputs(state(stages=stages("1")), state(stages=stages("2")))
    assert table.to_numpy().tolist() == [["data/raw", "data", "prepare"], ["src/a.py", "code", "prepare"]]


def test_a_page_escapes_what_it_quotes():
    import pandas as pd

    blocks = [
        Heading("<b>", 1),
        Sentence("a < b & c"),
        Table(pd.DataFrame({"x": ["<script>"]})),
        Gallery([Picture("p", 'a "quoted" one', PNG)]),
    ]
    text = write_html(blocks, "<title>")
    assert "<script>" not in text
    assert "<h1>&lt;b&gt;</h1>" in text
    assert "a &lt; b &amp; c" in text
    assert "a &quot;quoted&quot; one" in text
