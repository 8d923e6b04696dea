"""`vaeline gate` in a registry of models that were trained on the real digits."""

import json
from pathlib import Path

import pytest
from conftest import ROOT
from pipeline.shop import Shop, open_shop
from pipeline.workspace import Workspace

from vaeline.artifacts import digest
from vaeline.errors import VaelineError
from vaeline.models.archive import load_model
from vaeline.params import change_params, read_params
from vaeline.registry.candidates import candidate_name, served_name
from vaeline.registry.gate import decision as deciding
from vaeline.registry.gate.checks import NOT_RUN, Check
from vaeline.registry.gate.decision import Contest, Decision, decide
from vaeline.registry.gate.entrants import find_candidate, find_champion, require_contest
from vaeline.registry.gate.pictures import draw_figures
from vaeline.registry.gate.report import build_report, gate_digest
from vaeline.registry.gate.statistics import FAIL, INCONCLUSIVE, PASS
from vaeline.registry.stored import GOLDEN_OUTPUTS
from vaeline.tracking.runs import DIGEST_TAG

DATASET = "digits"
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


@pytest.fixture(scope="module")
def shop(finished: Workspace, tmp_path_factory: pytest.TempPathFactory):
    """Candidates 1: a model, 2: another seed of it, 3: the pipeline's own, which has learned next to nothing."""
    root = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for name in ("DVC_ROOT", "MLFLOW_TRACKING_URI"):
            patch.delenv(name, raising=False)
        opened = open_shop(finished, root)
        change_params(THRESHOLDS, root / "params.yaml")
        opened.train("first")
        opened.train("other-seed", train__seed=2)
        dull = load_model(finished.root / "models/vae.keras")
        opened.register(dull, "dull", read_params(finished.root / "params.yaml"))
        yield opened


@pytest.fixture(autouse=True)
def _in_the_shop(shop: Shop, monkeypatch):
    monkeypatch.chdir(shop.root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def first_version(shop: Shop) -> Decision:
    """The verdict on candidate 1 before there was a champion."""
    return hold(shop, "1")


@pytest.fixture(scope="module")
def better(shop: Shop, first_version: Decision) -> Decision:
    """The verdict on candidate 1 while candidate 3 was served."""
    shop.crown("3")
    return hold(shop, "models:/vae-digits-candidates/1")


@pytest.fixture(scope="module")
def champion(shop: Shop, better: Decision) -> str:
    """Candidate 1 is served: its version."""
    return shop.crown("1")


def hold(shop: Shop, *names: str) -> Decision:
    """The contest of candidates, with a server that is always well: the real one is in the test of the command."""
    found = [find_candidate(shop.client, name, DATASET) for name in names]
    champion = find_champion(shop.client, DATASET)
    require_contest(found, champion)
    with pytest.MonkeyPatch.context() as patch:
        served = [Check(name, PASS, None, None, "") for name in deciding.SERVED]
        patch.setattr(deciding, "service_checks", lambda uri, golden, most: served)
        return decide(Contest(read_params(), Path("data/prepared"), found, champion))


def verdicts(decision: Decision) -> dict[str, str]:
    return {check.name: check.verdict for check in decision.checks}


def test_the_first_version_passes_on_floors_alone_and_says_so(first_version):
    assert first_version.verdict == PASS
    found = {check.name: check for check in first_version.checks}
    assert found["champion"].sentence == "no champion: only absolute floors were asked for"
    assert not {"improvement", "slices", "test_rows"} & set(found)
    assert found["worst"].value < 172
    report = build_report(first_version)
    assert (report["champion"], report["improvement"]) == (None, None)
    assert set(draw_figures(first_version)) == {"gate_samples", "gate_manifolds"}


def test_the_command_finds_another_seed_inconclusive_and_leaves_everything_where_it_belongs(shop, champion):
    before = shop.client.get_model_version(candidate_name(DATASET), "2")
    assert not [tag for tag in before.tags if tag.startswith("vaeline.gate")]
    done = Workspace(shop.root).start("vaeline", "gate", "other-seed", PYTHONPATH=str(ROOT / "src"))
    output, _ = done.communicate(timeout=600)
    assert done.returncode == 3, output
    assert "inconclusive: vae-digits-candidates v2 against vae-digits v2" in output
    report = json.loads((shop.root / "reports/gate.json").read_text())
    found = {check["name"]: check for check in report["checks"]}
    assert {name for name, check in found.items() if check["verdict"] != PASS} == {"improvement"}
    assert found["improvement"]["verdict"] == INCONCLUSIVE
    assert found["served"]["verdict"] == found["golden"]["verdict"] == PASS
    assert 0 < found["latency"]["value"] < 60_000
    served = shop.client.get_model_version(served_name(DATASET), champion)
    assert report["champion"]["model_digest"] == served.tags[DIGEST_TAG]
    version = shop.client.get_model_version(candidate_name(DATASET), "2")
    assert version.tags["vaeline.gate_verdict"] == INCONCLUSIVE
    assert version.tags["vaeline.gate_champion"] == champion
    assert version.tags["vaeline.gate_sha256"] == gate_digest(report) == digest(shop.root / "reports/gate.json")
    assert float(version.tags["vaeline.gate_gain"]) == report["improvement"]["mean"]
    assert version.tags["vaeline.gate_test_sha256"] == report["test_sha256"]
    kept = {item.path for item in shop.client.list_artifacts(version.run_id, "gate")}
    pictures = {f"gate/gate_{name}.png" for name in ("gains", "classes", "samples", "manifolds")}
    assert kept == {"gate/gate.json", "gate/gate.md"} | pictures
    page = (shop.root / "reports/gate.md").read_text()
    assert "# Gate: inconclusive" in page
    assert all((shop.root / "reports" / Path(picture).name).is_file() for picture in pictures)


def test_a_model_that_has_collapsed_fails_by_name_and_is_not_served(shop, champion, better):
    decision = hold(shop, "dull")
    assert decision.verdict == FAIL
    found = verdicts(decision)
    assert found["kl"] == found["worst"] == found["improvement"] == FAIL
    assert {found[name] for name in deciding.SERVED} == {NOT_RUN}
    assert "KL, nats per image, is 0.0" in next(check for check in decision.checks if check.name == "kl").sentence
    assert decision.improvement.gain.mean == pytest.approx(-better.improvement.gain.mean), "the same rows and noise"


def test_a_better_model_passes_with_its_interval(better):
    assert set(verdicts(better).values()) == {PASS}
    gain = better.improvement.gain
    assert 5 < gain.low < gain.mean < gain.high
    assert better.improvement.gains.shape == (300,)
    assert set(draw_figures(better)) == {"gate_gains", "gate_classes", "gate_samples", "gate_manifolds"}


def test_a_version_without_golden_outputs_fails_by_name(shop, champion):
    version = shop.client.get_model_version(candidate_name(DATASET), "2")
    file = Path(shop.client.get_run(version.run_id).info.artifact_uri.removeprefix("file://")) / GOLDEN_OUTPUTS
    content = file.read_bytes()
    file.unlink()
    try:
        decision = hold(shop, "2")
    finally:
        file.write_bytes(content)
    assert decision.verdict == FAIL
    assert verdicts(decision)["golden"] == FAIL
    assert verdicts(decision)["served"] == NOT_RUN
    golden = next(check for check in decision.checks if check.name == "golden")
    assert golden.sentence.endswith("/2 has no golden outputs: it was registered before there were any")


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["9"], "models:/vae-digits-candidates/9: no such registered version"),
        (["nobody"], "no model file, run or registered model is called 'nobody'"),
        (["."], r"models/vae\.keras: no such model; train one with `dvc repro`"),
        (["models:/vae-digits/1"], "is no candidate; candidates for the data here are versions of vae-digits-candid"),
        (["1"], "vae-digits v2 is the champion already"),
        (["2", "3"], "two seeds do not show how far seeds scatter; name one model, or 3 or more"),
        (["2", "2", "3"], "one model is named twice"),
    ],
)
def test_what_cannot_be_judged_is_one_sentence(shop, champion, names, sentence):
    with pytest.raises(VaelineError, match=sentence) as error:
        hold(shop, *names)
    assert "\n" not in str(error.value)


def test_a_served_model_without_a_champion_is_no_first_version(shop, champion):
    name = served_name(DATASET)
    shop.client.delete_registered_model_alias(name, "champion")
    try:
        with pytest.raises(VaelineError, match="vae-digits has versions, but none of them is @champion: finish the"):
            find_champion(shop.client, DATASET)
    finally:
        shop.client.set_registered_model_alias(name, "champion", champion)
    assert find_champion(shop.client, DATASET).number == champion
    assert find_champion(shop.client, "nothing") is None
