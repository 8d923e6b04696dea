import json

import pytest

from vaeline.retraining import report as reports
from vaeline.retraining.inputs import Change
from vaeline.retraining.report import Report, write_page, write_report


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def report(**changes):
    reasons = [Change("data", "data changed since the champion's training: data/accepted")]
    given = {"due": True, "reasons": reasons, "otherwise": [], "champion": "2", "started": reports.now()}
    return Report(**given | changes)


def test_a_report_says_everything_to_people_machines_and_the_job(monkeypatch, tmp_path):
    monkeypatch.setattr(reports, "git", lambda *arguments: " M dvc.lock")
    reports.GATE.parent.mkdir()
    checks = [{"name": "worst", "verdict": "pass", "sentence": "mean NLL is 99"}]
    gate = {"candidate": {"version": "7"}, "verdict": "pass", "checks": checks}
    reports.GATE.write_text(json.dumps(gate))
    batch = {"name": "week-3.npz", "why": "rows are all black"}
    reports.INGEST.write_text(json.dumps({"accepted": [], "quarantined": [batch]}))
    output, summary = tmp_path / "output", tmp_path / "summary"
    environment = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
    done = report(outcome="candidate", sentence="candidate 7 waits", candidate="7", verdict="pass")
    write_report(done, environment)
    said = json.loads(reports.REPORT.read_text())
    assert {"due", "reasons", "outcome", "candidate", "verdict", "promoted", "started", "ended"} <= set(said)
    assert (said["promoted"], said["reasons"][0]["kind"]) == (False, "data")
    assert output.read_text() == "outcome=candidate\ncandidate=7\nchanged=true\n"
    page = summary.read_text()
    assert page == reports.PAGE.read_text()
    for part in ("# Retraining: candidate", "Candidate 7 waits.", "data/accepted", "| worst | pass |", "week-3.npz"):
        assert part in page
    reports.GATE.write_text(json.dumps(gate | {"candidate": {"version": "6"}}))
    write_report(done, {})
    assert "| worst |" not in reports.PAGE.read_text(), "the gate's report is about another candidate"


@pytest.mark.parametrize(
    ("outcome", "dirty", "changed"),
    [
        ("candidate", " M dvc.lock", "true"),
        ("unchanged", "", "false"),
        ("not_due", "?? data", "false"),
        ("failed", "?? data", "false"),
    ],
)
def test_only_a_retraining_that_ended_well_and_changed_something_is_proposed(
    monkeypatch, tmp_path, outcome, dirty, changed
):
    monkeypatch.setattr(reports, "git", lambda *arguments: dirty)
    write_report(report(outcome=outcome), {"GITHUB_OUTPUT": str(tmp_path / "output")})
    assert f"changed={changed}\n" in (tmp_path / "output").read_text()


def test_a_page_without_reasons_says_why_not():
    page = write_page(report(due=False, reasons=[], otherwise=["no drift"], outcome="not_due").as_dict())
    assert "# Retraining: not due" in page
    assert "- no drift" in page


def test_a_vertical_line_in_a_sentence_does_not_break_the_table():
    checks = [{"name": "kl", "verdict": "pass", "sentence": "KL | q(z|x) is 3"}]
    gate = {"candidate": {"version": "7"}, "verdict": "pass", "checks": checks}
    page = write_page(report(candidate="7").as_dict(), gate)
    assert "| kl | pass | KL \\| q(z\\|x) is 3 |" in page


def test_a_batch_cannot_bring_markup_into_the_page():
    ingested = {"quarantined": [{"name": "<img src=x>.npz", "why": "two\nlines"}]}
    page = write_page(report().as_dict(), None, ingested)
    assert "- \\<img src=x>.npz: two lines" in page
