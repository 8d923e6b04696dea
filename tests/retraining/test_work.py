"""What a retraining does, in which order, and what it never does; pipeline and gate are stood in for."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT
from retraining.test_due import CHAMPION
from typer.testing import CliRunner

from vaeline.cli import app
from vaeline.errors import VaelineError
from vaeline.params.whole import Params, change_params, read_params
from vaeline.retraining import work
from vaeline.retraining.inputs import Change
from vaeline.retraining.work import alone, retrain
from vaeline.tracking.runs import DIGEST_TAG

OTHER_MODEL = "e" * 64
DATA, AGE = Change("data", "new data"), Change("age", "old")


@dataclass
class Stage:
    """A retraining whose steps only say that they were asked for."""

    params: Params
    verdict: str = "pass"
    digest: str = OTHER_MODEL
    ledger: list[dict[str, str]] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def play(self, patch: pytest.MonkeyPatch, champion=CHAMPION, reasons=(DATA,)) -> work.RetrainingResult:
        version = SimpleNamespace(name="vae-mnist-candidates", version="7", tags={DIGEST_TAG: self.digest})
        client = SimpleNamespace(get_model_version=lambda name, number: version)
        patch.setattr(work, "run_dvc", lambda *arguments: self.done.append(" ".join(arguments)))
        patch.setattr(work, "made_version", lambda client, dataset: version)
        patch.setattr(work, "gate", lambda number: self.done.append(f"gate {number}") or self.verdict)
        patch.setattr(work, "read_ledger", lambda client, name: self.ledger)
        patch.setattr(
            work, "promote", lambda *arguments, tell: self.done.append(f"promote from {arguments[3].replaces}")
        )
        return retrain(client, self.params, champion, list(reasons), lambda sentence: None)


@pytest.fixture
def stage(params) -> Stage:
    """As in params.yaml, but with retrain.promote."""
    return Stage(params.model_copy(update={"retrain": params.retrain.model_copy(update={"promote": True})}))


def test_the_pipeline_takes_what_others_made_and_a_superior_candidate_is_promoted(stage, monkeypatch):
    outcome = stage.play(monkeypatch)
    assert stage.done == [
        "repro --pull --allow-missing",
        "pull data/prepared models/classifier.keras reports/validation.json",
        "gate 7",
        "promote from 3",
    ]
    assert (outcome.word, outcome.candidate, outcome.verdict) == ("promoted", "7", "pass")


def test_nothing_is_promoted_unless_all_of_it_is_allowed(stage, params, monkeypatch):
    rolled_back = {"action": "rollback", "from_digest": OTHER_MODEL, "reason": "sevens"}
    no_worse = stage.params.model_copy(update={"gate": params.gate.model_copy(update={"mode": "non_inferior"})})
    cases = [
        (Stage(params), {}, "retrain.promote is false"),
        (Stage(stage.params, verdict="inconclusive"), {}, "verdict is inconclusive"),
        (Stage(stage.params, verdict="fail"), {}, "verdict is fail"),
        (Stage(no_worse), {}, "gate.mode is non_inferior"),
        (Stage(stage.params), {"champion": None}, "the first champion is a person's choice"),
        (Stage(stage.params, ledger=[rolled_back]), {}, r"was rolled back (sevens)"),
    ]
    for case, given, words in cases:
        outcome = case.play(monkeypatch, **given)
        assert outcome.word == "candidate", words
        assert words in outcome.sentence
        assert not [step for step in case.done if step.startswith("promote")], words
    others = [{**rolled_back, "from_digest": "f" * 64}, {**rolled_back, "action": "promote"}]
    assert Stage(stage.params, ledger=others).play(monkeypatch).word == "promoted"


def test_the_champion_made_again_is_not_judged_and_drift_asks_for_data(stage, monkeypatch):
    stage.digest = CHAMPION.digest
    outcome = stage.play(monkeypatch, reasons=[Change("drift", "drift")])
    assert outcome.word == "unchanged"
    assert outcome.sentence.endswith("drift is answered by new labelled data")
    assert not [step for step in stage.done if step.startswith("gate")]


def test_age_and_dependencies_force_the_training_that_dvc_sees_no_reason_for(stage, monkeypatch):
    for kind in ("age", "dependencies"):
        stage.done.clear()
        stage.play(monkeypatch, reasons=[DATA, Change(kind, kind)])
        forced = stage.done.index("repro --force --single-item train")
        assert stage.done[forced - 1] == "pull data/prepared reports/validation.json"
        assert stage.done[forced + 1] == "repro --pull --allow-missing"


def test_a_step_that_fails_ends_it_in_a_sentence(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda command, check: SimpleNamespace(returncode=1))
    with pytest.raises(VaelineError, match="`vaeline gate 7` gave no verdict"):
        work.gate("7")
    for status, verdict in ((0, "pass"), (3, "inconclusive"), (4, "fail")):
        monkeypatch.setattr(subprocess, "run", lambda command, check, status=status: SimpleNamespace(returncode=status))
        assert work.gate("7") == verdict


@pytest.mark.usefixtures("processes")
def test_of_two_at_once_one_works_and_the_other_leaves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "params.yaml").write_text(Path(ROOT / "params.yaml").read_text())
    with alone() as first:
        with alone() as second:
            assert (first, second) == (True, False)
        result = CliRunner().invoke(app, ["retrain"])
        assert result.exit_code == 0, result.output
        assert "another retraining is running in this repository" in result.output
    assert not (tmp_path / "mlflow.db").exists()
    with alone() as third:
        assert third


def test_the_alarm_waits_for_longer_than_a_champion_may_be_old(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(Path(ROOT / "params.yaml").read_text())
    with pytest.raises(VaelineError, match=r"retrain\.quiet_days: the alarm must wait for longer than"):
        change_params({"retrain.quiet_days": 30.0}, file)
    change_params({"retrain.quiet_days": 31.0}, file)
    assert read_params(file).retrain.quiet_days == 31


@pytest.mark.usefixtures("processes")
def test_to_ask_takes_no_tensorflow():
    modules = "vaeline.cli.retrain, vaeline.retraining.due, vaeline.retraining.report, vaeline.retraining.work"
    check = f"import sys, {modules}; assert not {{'tensorflow', 'keras'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], cwd=ROOT, env={"PYTHONPATH": "src", "PATH": ""}, check=True)
