"""The life of a champion by the commands of a person, on the real digits; then single questions to the gate."""

import json
import os
import re
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from champions.story import AGAIN, CLI, A, B, C, Place, Scene, Story, tell
from conftest import ROOT
from forking.programs import forked_programs
from mlflow import MlflowClient
from pipeline.workspace import Workspace, copy_workspace
from playwright.sync_api import expect
from screenshots import find_browser, open_page, serving
from shared import made_once
from typer.testing import CliRunner

from vaeline.artifacts import digest
from vaeline.cli import app
from vaeline.errors import VaelineError
from vaeline.gate import decision as deciding
from vaeline.gate.checks import NOT_RUN, SERVICE_CHECKS
from vaeline.gate.contest import Contest, require_contest
from vaeline.gate.decision import Decision, decide
from vaeline.gate.report import gate_digest
from vaeline.gate.statistics import FAIL, INCONCLUSIVE, PASS
from vaeline.gate.trial import ServiceTrial
from vaeline.params.gate import GateParams
from vaeline.params.whole import change_params, read_params
from vaeline.registry.chain import broken_links
from vaeline.registry.ledger import read_ledger
from vaeline.registry.lookup import find_candidate, find_champion
from vaeline.registry.names import candidate_name, served_name
from vaeline.registry.stored import GOLDEN_OUTPUTS
from vaeline.tracking.runs import DIGEST_TAG, FILES_TAG
from vaeline.tracking.store import open_store

DATASET = "digits"
CANDIDATES, SERVED = candidate_name(DATASET), served_name(DATASET)
PICTURES = {f"gate/gate_{name}.png" for name in ("gains", "classes", "samples", "manifolds")}
THRESHOLDS = {
    "gate.nll_images": 300,
    "gate.nll_samples": 10,
    "gate.resamples": 300,
    "gate.min_gain": 5.0,
    "gate.margin": 8.0,
    "gate.slice_margin": 60.0,
    "gate.worst": 172.0,
    "gate.floors.kl": 1.0,
    "gate.floors.precision": 0.1,
    "gate.floors.auroc": 0.4,
    "gate.budget.milliseconds": 60_000.0,
}
CHANGES = {
    B: {"train.epochs": 20},
    C: {"model.beta": 50.0},
    AGAIN: {"train.seed": 2},
}
needs_browser = pytest.mark.skipif(find_browser() is None, reason="no Chromium: `make browser` installs one")


class Desk(Place):
    """A place where the short commands of `vaeline` run in this process, the gate and DVC as forks."""

    def execute(self, *command: str) -> tuple[int, str]:
        if command[: len(CLI)] != CLI or command[len(CLI)] == "gate":
            python = str(forked_programs() / "python")
            return super().execute(*(python if word == sys.executable else word for word in command))
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.root)
            for name in os.environ.keys() - self.environment.keys():
                patch.delenv(name)
            done = CliRunner(env=dict(self.environment)).invoke(app, command[len(CLI) :])
        return done.exit_code, done.output


@pytest.fixture(scope="session")
def workspace(finished: Workspace) -> Workspace:
    """A copy of the finished workspace with a gate for small models, after the whole story; not to be changed.

    A is the model that was trained there. What a verdict, an exit status or the service did otherwise than it must is
    an error here.
    """

    def make(folder: Path) -> None:
        copy = copy_workspace(finished, folder)
        change_params(THRESHOLDS, copy.root / "params.yaml")
        story = tell(Desk(copy.root, copy.environment(PYTHONPATH="src"), CHANGES))
        (folder / "story.json").write_text(json.dumps(asdict(story)), encoding="utf-8")

    return Workspace(made_once("champions", make) / "copy")


@pytest.fixture(scope="session")
def told(workspace: Workspace) -> Story:
    """The story."""
    story = json.loads((workspace.root.parent / "story.json").read_text(encoding="utf-8"))
    return Story(**story | {"scenes": [Scene(**scene) for scene in story["scenes"]]})


def checks(report: dict) -> dict[str, dict]:
    return {check["name"]: check for check in report["checks"]}


def verdicts(report: dict) -> dict[str, str]:
    return {name: check["verdict"] for name, check in checks(report).items()}


def kept_in_gate(workspace: Workspace, number: str) -> set[str]:
    client = workspace.client()
    run = client.get_model_version(CANDIDATES, number).run_id
    return {item.path for item in client.list_artifacts(run, "gate")}


def test_the_first_version_passes_on_floors_alone_and_says_so(told, workspace):
    report = told.reports[A]
    assert report["verdict"] == PASS
    assert (report["champion"], report["improvement"]) == (None, None)
    assert checks(report)["champion"]["sentence"] == "there is no champion; only the absolute thresholds apply"
    assert not {"improvement", "slices", "test_rows"} & set(checks(report))
    assert checks(report)["worst"]["value"] < 172
    drawn = {"gate/gate_samples.png", "gate/gate_manifolds.png"}
    assert kept_in_gate(workspace, "1") == {"gate/gate.json", "gate/gate.md"} | drawn


def test_a_better_model_passes_with_its_interval_and_takes_the_place(told, workspace):
    report = told.reports[B]
    assert set(verdicts(report).values()) == {PASS}
    assert {"improvement", "slices", "test_rows", "served", "golden", "latency"} < set(verdicts(report))
    gain = report["improvement"]
    assert gain["min_gain"] == 5 < gain["low"] < gain["mean"] < gain["high"]
    assert gain["mean"] == pytest.approx(report["means"][f"{SERVED} v1"] - report["means"][f"{CANDIDATES} v2"])
    assert 0 < checks(report)["latency"]["value"] < 60_000
    assert "version 2 of vae-digits is champion" in told.said("vaeline promote 2 --replaces 1")
    assert kept_in_gate(workspace, "2") == {"gate/gate.json", "gate/gate.md"} | PICTURES


def test_a_model_that_has_collapsed_fails_by_name_is_not_served_and_not_promoted(told):
    found = checks(told.reports[C])
    assert {found[name]["verdict"] for name in ("kl", "active_units", "improvement")} == {FAIL}
    assert {found[name]["verdict"] for name in SERVICE_CHECKS} == {NOT_RUN}
    assert "KL, nats per image, is " in found["kl"]["sentence"]
    assert found["kl"]["value"] < 0.1
    refusal = told.said("vaeline promote 3")
    assert "the gate's verdict on models:/vae-digits-candidates/3 is fail: " in " ".join(refusal.split())


def test_another_seed_is_inconclusive_and_everything_is_left_where_it_belongs(told, workspace):
    report, client = told.reports[AGAIN], workspace.client()
    assert {name for name, verdict in verdicts(report).items() if verdict != PASS} == {"improvement"}
    assert verdicts(report)["improvement"] == INCONCLUSIVE
    assert report["champion"]["model_digest"] == client.get_model_version(SERVED, "1").tags[DIGEST_TAG]
    tags = client.get_model_version(CANDIDATES, "4").tags
    assert tags["vaeline.gate_verdict"] == INCONCLUSIVE
    assert tags["vaeline.gate_champion"] == "1"
    assert tags["vaeline.gate_sha256"] == gate_digest(report) == digest(workspace.root / "reports/gate.json")
    assert float(tags["vaeline.gate_gain"]) == pytest.approx(report["improvement"]["mean"], abs=1e-6)
    assert tags["vaeline.gate_test_sha256"] == report["test_sha256"]
    page = (workspace.root / "reports/gate.md").read_text()
    assert "# Gate: inconclusive" in page
    assert all((workspace.root / "reports" / Path(picture).name).is_file() for picture in PICTURES)


def test_the_service_followed_every_move_and_no_refusal(told):
    assert told.served == ["1", "2", "1", "1"]
    answers = [json.loads(scene.output)["model"] for scene in told.scenes if scene.command == "vaeline serve"]
    champions = [told.reports[model]["candidate"]["model_digest"] for model in (A, B, A, A)]
    assert [answer["digest"] for answer in answers] == champions


def test_aliases_tags_and_ledger_say_the_same(told, workspace):
    client = workspace.client()
    assert set(client.get_registered_model(SERVED).aliases) == {"champion"}
    assert str(client.get_model_version_by_alias(SERVED, "champion").version) == "1"
    for number, model in (("1", A), ("2", B)):
        served = client.get_model_version(SERVED, number)
        assert served.tags["vaeline.gate_verdict"] == PASS
        assert served.tags[DIGEST_TAG] == told.reports[model]["candidate"]["model_digest"]
    found = [client.get_model_version(CANDIDATES, number).tags["vaeline.gate_verdict"] for number in "1234"]
    assert found == [PASS, PASS, FAIL, INCONCLUSIVE]
    entries = read_ledger(client, SERVED)
    moves = [("promote", "", "1"), ("promote", "1", "2"), ("rollback", "2", "1")]
    assert [(entry["action"], entry["from"], entry["to"]) for entry in entries] == moves
    assert broken_links(entries) == []
    history = told.said("vaeline history")
    assert all(entry["to_digest"][:12] in history for entry in entries)
    assert "B is on trial" in history
    (told_in_short,) = [scene.outcome for scene in told.scenes if scene.command == "vaeline history"]
    assert told_in_short == "promote, then promote, then rollback"
    assert "0 errors" in told.said("vaeline registry check")


def test_the_lineage_of_each_leads_to_its_own_commit_and_to_the_same_data(told, workspace):
    commits = set()
    for number in "1234":
        lineage = told.said(f"vaeline lineage models:/{CANDIDATES}/{number}")
        version = workspace.client().get_model_version(CANDIDATES, number)
        run = workspace.client().get_run(version.run_id)
        (data,) = run.inputs.dataset_inputs
        commits.add(run.data.tags["mlflow.source.git.commit"])
        for found in (version.tags[DIGEST_TAG], run.info.run_name, data.dataset.digest):
            assert found[:12] in lineage
        assert run.data.tags["mlflow.source.git.commit"][:12] in lineage
    assert len(commits) == 4


@needs_browser
def test_mlflows_pages_show_the_alias_and_the_verdict(told, workspace, tmp_path):
    with (
        serving(workspace.root, tmp_path / "server.log", workspace.environment()) as address,
        open_page(find_browser()) as (page, problems),
    ):
        page.goto(f"{address}/#/models/{SERVED}")
        expect(
            page.get_by_role("row").filter(has_text="Version 1").get_by_text("@ champion", exact=True)
        ).to_be_visible()
        page.goto(f"{address}/#/models/{CANDIDATES}/versions/3")
        expect(page.get_by_text("vaeline.gate_verdict").first).to_be_visible()
    assert problems == []


@pytest.fixture
def client(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """The store, as a command in the workspace opens it, after the story: version 1 is champion."""
    return enter(workspace, monkeypatch)


@pytest.fixture
def own_client(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """The same in a copy of the workspace, to change."""
    return enter(copy_workspace(workspace, tmp_path), monkeypatch)


def enter(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.chdir(workspace.root)
    for name in ("DVC_ROOT", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return open_store()


def hold(client, *names: str, gate: GateParams | None = None) -> Decision:
    """The contest of candidates, with a server that is always well: the real one is part of the story."""
    found = [find_candidate(client, name, DATASET) for name in names]
    champion = find_champion(client, DATASET)
    require_contest(found, champion)
    with pytest.MonkeyPatch.context() as patch:
        well = lambda uri, golden: ServiceTrial(golden["answers"], [], [1.0])  # noqa: E731
        patch.setattr(deciding, "serve_and_ask", well)
        params = read_params()
        params = params.model_copy(update={"gate": gate or params.gate})
        return decide(Contest(params, Path("data/prepared"), found, champion))


def test_a_version_without_golden_outputs_fails_by_name_and_a_gate_finds_the_same_again(told, own_client):
    version = own_client.get_model_version(CANDIDATES, "2")
    own_client.delete_model_version_tag(CANDIDATES, "2", FILES_TAG)  # an older vaeline had none
    run = own_client.get_run(version.run_id)
    (Path(run.info.artifact_uri.removeprefix("file://")) / GOLDEN_OUTPUTS).unlink()
    decision = hold(own_client, "2")
    found = {check.name: check for check in decision.checks}
    assert {name for name, check in found.items() if check.verdict == FAIL} == {"golden"}
    assert found["served"].verdict == NOT_RUN
    assert found["golden"].sentence.endswith("/2 has no golden outputs; an older vaeline registered it")
    again = {
        key: round(value, 6) for key, value in decision.scores.improvement.gain._asdict().items()
    }  # as the report has them
    assert again == {key: told.reports[B]["improvement"][key] for key in again}, "the same rows and noise"


def documented_checks() -> set[str]:
    """The names in the first column of the table of checks in docs/gate.md."""
    table = (ROOT / "docs/gate.md").read_text().split("## The checks")[1].split("\n\n")[1]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_check_of_the_page_is_run_and_fails_by_its_name_where_its_threshold_is_out_of_reach(told, client):
    of_seeds, of_the_first = {"seed"}, {"champion"}
    assert set(verdicts(told.reports[B])) == documented_checks() - of_seeds - of_the_first
    assert set(verdicts(told.reports[A])) == documented_checks() - of_seeds - {"improvement", "slices", "test_rows"}
    gate = read_params().gate
    floors = dict.fromkeys(("precision", "recall", "auroc"), 1.01) | {"kl": 1000.0, "active_units": 100}
    out_of_reach = {
        "worst": 1.0,
        "min_gain": 1000.0,
        "floors": gate.floors.model_copy(update=floors),
        "budget": gate.budget.model_copy(update={"mebibytes": 0.001}),
    }
    decision = hold(client, "2", gate=gate.model_copy(update=out_of_reach))
    found = {check.name: check.verdict for check in decision.checks}
    assert decision.verdict == FAIL
    failed = {name for name, verdict in found.items() if verdict == FAIL}
    assert failed == {"size", "kl", "active_units", "worst", "precision", "recall", "auroc"}
    assert found["improvement"] == INCONCLUSIVE
    assert {found[name] for name in SERVICE_CHECKS} == {NOT_RUN}


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["9"], "models:/vae-digits-candidates/9: no such registered version"),
        (["nobody"], "no model file, run or registered model is called 'nobody'"),
        (["nowhere.keras"], r"nowhere\.keras: no such model; train one with `dvc repro`"),
        (["models:/vae-digits/1"], "is not a candidate; candidates for the present data are versions of vae-digit"),
        (["1"], "vae-digits v1 is the champion;"),
        (["2", "3"], "two seeds are too few to estimate the spread of seeds; name one model, or 3 or more"),
        (["2", "2", "3"], "one model is named twice"),
        (["2", "3", "4"], r"v3 is not another seed of vae-digits-candidates v2: model\.beta is 50\.0, not 1\.0"),
    ],
)
def test_what_cannot_be_judged_is_one_sentence(client, names, sentence):
    with pytest.raises(VaelineError, match=sentence) as error:
        hold(client, *names)
    assert "\n" not in str(error.value)


def test_a_served_model_without_a_champion_is_no_first_version(own_client):
    assert find_champion(own_client, DATASET).number == "1"
    assert find_champion(own_client, "nothing") is None
    own_client.delete_registered_model_alias(SERVED, "champion")
    with pytest.raises(VaelineError, match="vae-digits has versions, but none of them is @champion"):
        find_champion(own_client, DATASET)
