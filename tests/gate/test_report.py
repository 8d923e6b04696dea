"""The report, its page and where both go."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from vaeline.artifacts import digest
from vaeline.errors import VaelineError
from vaeline.evaluation.comparison import Evaluation
from vaeline.gate.checks import Check
from vaeline.gate.contest import Contest
from vaeline.gate.decision import Decision
from vaeline.gate.publish import PAGE, REPORT, VERDICT_TAG, gate_tags, publish
from vaeline.gate.report import build_report, gate_digest, page_blocks
from vaeline.gate.scores import ContestScores, Improvement
from vaeline.gate.statistics import FAIL, INCONCLUSIVE, PASS, Bound
from vaeline.pages import write_markdown

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
IN_CONTRACT = {
    "verdict",
    "mode",
    "candidate",
    "champion",
    "checks",
    "improvement",
    "policy_sha256",
    "test_sha256",
    "created",
    "vaeline.gate_version",
}
TAGS = {
    "vaeline.gate_verdict",
    "vaeline.gate_sha256",
    "vaeline.gate_champion",
    "vaeline.gate_at",
    "vaeline.gate_metric",
    "vaeline.gate_gain",
    "vaeline.gate_gain_low",
    "vaeline.gate_test_sha256",
}


def entrant(name, number):
    content = {"name": name, "version": number, "model_digest": f"{number}" * 64, "run_id": "r"}
    return SimpleNamespace(as_dict=lambda: content)


def scored(name, mean):
    scores = pd.DataFrame({"nll_bound": np.where(np.arange(300) < 200, mean, np.nan)})
    evaluation = Evaluation(name, "digits", {}, {"test": {"nll_bound": "k"}}, scores)
    return SimpleNamespace(evaluation=evaluation, mean=mean, nonfinite=0)


def decision(params, champion=True, verdict=PASS, seeds=1, low=1.5):
    table = pd.DataFrame(
        {"label": [3], "images": [30], "gain": [-2.0], "low": [float("nan")], "high": [1.0], "p_holm": [0.5]}
        | {"verdict": [PASS], "class": ["three"]}
    )
    improvement = Improvement(Bound(2.0, low, 2.5), np.zeros(300), table) if champion else None
    candidates = [entrant("vae-digits-candidates", str(5 + index)) for index in range(seeds)]
    checks = [Check("kl", verdict, 3.0, 2.0, "KL | is 3"), Check("slices", PASS, float("nan"), -5.0, "fine")]
    return Decision(
        Contest(params, None, candidates, entrant("vae-digits", "4") if champion else None),
        SimpleNamespace(data=SimpleNamespace(test_sha256="t" * 64)),
        ContestScores(
            [scored(f"vae-digits-candidates v{5 + index}", 130.0 + index) for index in range(seeds)],
            scored("vae-digits v4", 132.0) if champion else None,
            improvement=improvement,
        ),
        checks,
    )


def write_page(report, pictures):
    return write_markdown(page_blocks(report, pictures))


def test_a_report_has_what_promotion_reads_and_no_figure_that_json_does_not_know(params):
    report = build_report(decision(params), NOW)
    assert set(report) >= IN_CONTRACT
    assert report["candidate"] == {
        "name": "vae-digits-candidates",
        "version": "5",
        "model_digest": "5" * 64,
        "run_id": "r",
    }
    assert report["champion"]["version"] == "4"
    assert report["test_images"] == 200  # the metric has no value for the others
    assert (report["created"], report["verdict"], report["mode"]) == ("2026-11-21T12:00:00+00:00", PASS, "superior")
    assert {"mean": 2.0, "low": 1.5, "high": 2.5}.items() <= report["improvement"].items()
    assert (report["improvement"]["margin"], report["improvement"]["min_gain"]) == (
        params.gate.margin,
        params.gate.min_gain,
    )
    assert set(report["checks"][0]) == {"name", "verdict", "value", "limit", "sentence"}
    assert report["slices"][0]["low"] is None is report["checks"][1]["value"]
    json.dumps(report, allow_nan=False)


def test_the_digest_is_that_of_the_written_file_and_changes_with_every_word(params, tmp_path):
    report = build_report(decision(params), NOW)
    (tmp_path / REPORT).write_text(json.dumps(report))
    assert gate_digest(json.loads((tmp_path / REPORT).read_text())) == gate_digest(report)
    assert gate_digest({**report, "verdict": FAIL}) != gate_digest(report)
    assert len(gate_digest(report)) == 64


def test_another_threshold_is_another_policy(params):
    stricter = params.model_copy(update={"gate": params.gate.model_copy(update={"min_gain": 9.0})})
    one, other = (build_report(decision(each), NOW)["policy_sha256"] for each in (params, stricter))
    assert one != other
    elsewhere = params.model_copy(update={"plot": params.plot.model_copy(update={"seed": 9})})
    assert build_report(decision(elsewhere), NOW)["policy_sha256"] == one


def test_several_seeds_are_all_in_the_report_with_their_spread(params):
    report = build_report(decision(params, seeds=3), NOW)
    assert [seed["version"] for seed in report["seeds"]] == ["5", "6", "7"]
    assert report["improvement"]["spread"] == pytest.approx(1.0)
    assert "3 seeds whose means scatter by 1" in write_page(report, [])


def test_the_page_says_what_a_person_needs(params):
    report = build_report(decision(params, verdict=INCONCLUSIVE), NOW)
    page = write_page(report, ["gate_gains", "gate_classes", "gate_samples"])
    for part in (
        "# Gate: inconclusive",
        "vae-digits-candidates v5 against vae-digits v4, on 200 test images of digits",
        "- **kl**: KL | is 3",
        "| vae-digits v4 | 132 |",
        "Gain of the candidate: **+2** nats, above **+1.5** and below **+2.5** with 95 % confidence each",
        "| three | 30 | -2 |  | 1 | 0.5 | pass |",
        "| kl | inconclusive | 3 | 2 | KL \\| is 3 |",
        "(gate_gains.png)",
        "| gate.floors.kl | 2 |",
    ):
        assert part in page
    assert "gate_manifolds.png" not in page


def test_without_a_champion_the_page_and_the_tags_say_so(params):
    report = build_report(decision(params, champion=False), NOW)
    assert (report["champion"], report["improvement"], report["slices"]) == (None, None, [])
    assert "with no champion to compare with" in write_page(report, [])
    tags = gate_tags(report)
    assert set(tags) == TAGS
    assert (tags["vaeline.gate_champion"], tags["vaeline.gate_gain"]) == ("", "")


class Store:
    """A registry that writes down what is asked of it, and fails at one of its calls."""

    def __init__(self, fail_at=""):
        self.tags = {VERDICT_TAG: "pass", "vaeline.gate_sha256": "old"}
        self.files, self.fail_at = [], fail_at

    def _maybe_fail(self, what):
        if what == self.fail_at:
            raise OSError("the store is gone")

    def get_run(self, run_id):
        return SimpleNamespace(info=SimpleNamespace(artifact_uri="file:///artifacts"))

    def get_model_version(self, name, version):
        return SimpleNamespace(tags=dict(self.tags))

    def delete_model_version_tag(self, name, version, key):
        self._maybe_fail("delete")
        del self.tags[key]

    def log_artifact(self, run_id, file, path):
        self._maybe_fail("log")
        self.files = sorted([*self.files, f"{path}/{Path(file).name}"])

    def set_model_version_tag(self, name, version, key, value):
        self._maybe_fail(key)
        self.tags[key] = value


def stored(store):
    return SimpleNamespace(client=store, run_id="r", version=SimpleNamespace(name="x", version="5"))


def test_everything_goes_to_the_run_the_version_and_the_folder(params, tmp_path):
    report, store = build_report(decision(params), NOW), Store()
    (tmp_path / "gate_manifolds.png").write_text("of an earlier gate")
    files = publish(stored(store), report, {"gate_gains": Figure()}, tmp_path)
    assert [file.name for file in files] == ["gate.md", "gate_gains.png", REPORT]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(file.name for file in files)
    assert store.files == ["gate/gate.json", "gate/gate.md", "gate/gate_gains.png"]
    assert store.tags == gate_tags(report)
    assert set(store.tags) == TAGS
    assert store.tags["vaeline.gate_sha256"] == digest(tmp_path / REPORT) == gate_digest(report)
    assert store.tags["vaeline.gate_champion"] == "4"
    assert json.loads((tmp_path / REPORT).read_text())["verdict"] == PASS


@pytest.mark.parametrize("fail_at", ["log", "vaeline.gate_sha256", VERDICT_TAG])
def test_what_breaks_off_leaves_no_verdict_and_nothing_half_written(params, tmp_path, fail_at):
    (tmp_path / PAGE).write_text("earlier")
    store = Store(fail_at)
    with pytest.raises(OSError, match="the store is gone"):
        publish(stored(store), build_report(decision(params), NOW), {}, tmp_path)
    assert VERDICT_TAG not in store.tags
    assert [file.name for file in tmp_path.iterdir()] == [PAGE]
    assert (tmp_path / PAGE).read_text() == "earlier"


def test_a_folder_that_cannot_be_written_to_is_one_sentence(params, tmp_path):
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(VaelineError, match=r"reports: cannot be written \(.*\); the report is in the store"):
        publish(stored(Store()), build_report(decision(params), NOW), {}, tmp_path / "reports")
