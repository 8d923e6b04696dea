"""The whole way of a candidate: facts, scores, checks; the registry, the classifier and the server are stand-ins."""

import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from vaeline.classifier.network import Classifier
from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError
from vaeline.gate import decision as deciding
from vaeline.gate import facts as gathering
from vaeline.gate.checks import NOT_RUN, SCORE_CHECKS, SERVICE_CHECKS
from vaeline.gate.contest import Contest
from vaeline.gate.facts import VALIDATION_TAG, read_data_facts
from vaeline.gate.report import build_report
from vaeline.gate.statistics import FAIL, PASS
from vaeline.gate.trial import ServiceTrial
from vaeline.pyfunc.model import MODES
from vaeline.registry.lookup import RegisteredVersion

MD5 = "a" * 32
ANSWERS = {mode: {"images": [1.0]} for mode in MODES}
GOLDEN = {"backend": "any", "questions": {mode: {} for mode in MODES}, "answers": ANSWERS}


class Stored:
    """A stored model whose files are made up."""

    def __init__(self, number, archive, golden=GOLDEN):
        self.version = SimpleNamespace(name="vae-digits", version=number, tags={VALIDATION_TAG: "passed"})
        self.model_sha256, self.run_id, self.name = f"{number}" * 64, "run", f"models:/vae-digits/{number}"
        self.file, self.golden = archive, golden

    @contextmanager
    def artifact(self, path):
        yield self.file

    def read_reference(self):
        return SimpleNamespace(model_sha256=self.model_sha256, densities={})

    def read_golden(self):
        if self.golden is None:
            raise VaelineError("it has no golden outputs")
        return self.golden


@pytest.fixture
def asked(monkeypatch):
    """The versions that were served."""
    served = []
    monkeypatch.setattr(
        deciding, "serve_and_ask", lambda uri, golden: served.append(uri) or ServiceTrial(ANSWERS, [], [1.0] * 30)
    )
    return served


@pytest.fixture
def decide(small_model, prepared, prepared_directory, params, tmp_path, monkeypatch, asked):
    """Decide about the small model, against itself under another number or without a champion."""
    data = read_data_facts(prepared_directory, prepared)
    profile = json.dumps({name: {**split, "rows": 1} for name, split in data.digests.items()})
    dataset = SimpleNamespace(dataset=SimpleNamespace(digest=MD5, profile=profile))
    run = SimpleNamespace(inputs=SimpleNamespace(dataset_inputs=[dataset]), info=SimpleNamespace(run_name="run"))
    (tmp_path / "vae.keras").write_bytes(b"0" * 1000)
    (tmp_path / "classifier.keras").write_bytes(b"0")
    monkeypatch.setattr(gathering, "CLASSIFIER", tmp_path / "classifier.keras")
    monkeypatch.setattr(gathering, "load_stored", lambda stored: small_model)
    monkeypatch.setattr(gathering, "load_classifier", lambda: Classifier(image=MNIST_IMAGE, classes=10, width=4))
    monkeypatch.setattr(gathering, "_validated_data", lambda: MD5)
    floors = params.gate.floors.model_copy(update=dict.fromkeys(params.gate.floors.model_dump(), 0))
    changes = {"nll_images": 300, "nll_samples": 2, "resamples": 100, "mode": "non_inferior", "margin": 1.0}
    gate = params.gate.model_copy(update=changes | {"worst": 1e6, "slice_margin": 9.0, "floors": floors})

    def run_gate(champion=True, golden=GOLDEN, **more):
        changed = params.model_copy(update={"gate": gate.model_copy(update=more)})
        versions = [RegisteredVersion(Stored(number, tmp_path / "vae.keras", golden), run) for number in (2, 1)]
        return deciding.decide(Contest(changed, prepared_directory, versions[:1], versions[1] if champion else None))

    return run_gate


def test_a_model_against_itself_passes_every_check_of_a_non_inferior_gate(decide, asked):
    found = decide()
    assert {check.name: check.sentence for check in found.checks if check.verdict != PASS} == {}
    assert found.verdict == PASS
    assert found.scores.improvement.gain.mean == 0
    assert asked == ["models:/vae-digits/2"]
    assert [check.name for check in found.checks] == [
        "data",
        "validation",
        "overlap",
        "test_rows",
        "size",
        "finite",
        "kl",
        "active_units",
        "worst",
        "improvement",
        "slices",
        "precision",
        "recall",
        "auroc",
        "served",
        "golden",
        "latency",
    ]
    assert build_report(found)["verdict"] == PASS


def test_without_a_champion_only_floors_are_asked(decide):
    found = {check.name: check.verdict for check in decide(champion=False).checks}
    assert found["champion"] == PASS
    assert not {"improvement", "slices", "test_rows"} & set(found)


def test_what_has_failed_or_has_no_golden_outputs_is_not_served(decide, asked):
    failed = decide(worst=1.0)
    assert failed.verdict == FAIL
    assert {check.name for check in failed.checks if check.verdict == NOT_RUN} == set(SERVICE_CHECKS)
    missing = {check.name: check for check in decide(golden=None).checks}
    assert (missing["golden"].verdict, missing["golden"].sentence) == (FAIL, "it has no golden outputs")
    assert asked == []


def test_scores_that_are_not_finite_are_not_compared(decide, monkeypatch):
    monkeypatch.setattr("vaeline.gate.scores._count_nonfinite", lambda *arguments: 1)
    found = {check.name: check.verdict for check in decide().checks}
    assert found["finite"] == FAIL
    assert {found[name] for name in SCORE_CHECKS} == {NOT_RUN}
