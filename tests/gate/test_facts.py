"""What the gate finds about data and its origin, on the digits and on runs made up for it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from vaeline.artifacts import digest
from vaeline.data.prepared import read_prepared, write_prepared
from vaeline.gate.checks import data_checks
from vaeline.gate.facts import (
    TEST_TAG,
    VALIDATION_TAG,
    DataFacts,
    count_overlap,
    read_data_facts,
    rows_digest,
)
from vaeline.gate.statistics import FAIL, PASS
from vaeline.images.digests import npy_digest

MD5 = "a" * 32


@pytest.fixture
def facts(prepared_directory, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    found = read_data_facts(prepared_directory, read_prepared(prepared_directory))
    return DataFacts(found.digests, found.overlap, MD5)


def entrant(digests, md5=MD5, **tags):
    profile = json.dumps({name: {**split, "rows": 1} for name, split in digests.items()})
    inputs = SimpleNamespace(dataset_inputs=[SimpleNamespace(dataset=SimpleNamespace(digest=md5, profile=profile))])
    run = SimpleNamespace(inputs=inputs, info=SimpleNamespace(run_name="run"))
    return SimpleNamespace(run=run, tags={VALIDATION_TAG: "passed"} | tags, title="c v1")


def verdicts(candidate, champion, facts):
    return {check.name: check.verdict for check in data_checks([candidate], champion, facts)}


def other(digests, split):
    return digests | {split: {"images_sha256": "0" * 64, "labels_sha256": "0" * 64}}


def test_the_digests_are_those_of_the_arrays_and_agree_with_the_manifest(facts, prepared_directory):
    manifest = read_prepared(prepared_directory).manifest["splits"]
    for name, split in facts.digests.items():
        assert split["images_sha256"] == npy_digest(np.load(prepared_directory / f"{name}_images-00000.npy"))
        assert split["labels_sha256"] == digest(prepared_directory / f"{name}_labels.npy")
        assert split == {key: manifest[name][key] for key in split}
    assert facts.test_sha256 == rows_digest(facts.digests["test"])
    assert facts.overlap == 0


def test_a_test_image_that_is_trained_or_chosen_on_is_counted(digits, tmp_path):
    about = {"dataset": "digits", "name": "digits", "title": "digits", "classes": digits.classes}
    rows = {"train": np.arange(20), "validation": np.arange(20, 30), "test": np.array([3, 3, 25, 40, 41])}
    sources = {name: (digits.images, digits.labels, taken) for name, taken in rows.items()}
    write_prepared(tmp_path / "prepared", sources, about)
    assert count_overlap(read_prepared(tmp_path / "prepared")) == 3
    check = data_checks(
        [entrant({})], None, DataFacts({"test": {}}, count_overlap(read_prepared(tmp_path / "prepared")), MD5)
    )
    assert {item.name: item.verdict for item in check}["overlap"] == FAIL


def test_all_is_well_where_everything_belongs_together(facts):
    found = verdicts(entrant(facts.digests), entrant(facts.digests), facts)
    assert found == {"data": PASS, "validation": PASS, "overlap": PASS, "test_rows": PASS}
    assert "test_rows" not in verdicts(entrant(facts.digests), None, facts)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_candidate_of_other_data_fails_by_the_split(facts, split):
    checks = data_checks([entrant(facts.digests), entrant(other(facts.digests, split))], None, facts)
    (check,) = (check for check in checks if check.name == "data")
    assert check.verdict == FAIL
    assert check.sentence == f"the {split} split of c v1 is not the one on disk"


def test_a_candidate_without_a_word_about_its_data_fails(facts):
    candidate = entrant(facts.digests)
    candidate.run.inputs = None
    checks = data_checks([candidate], None, facts)
    assert checks[0].sentence == "the run of c v1 does not say on which data it was trained"
    assert checks[1].verdict == FAIL


@pytest.mark.parametrize(
    ("tag", "validated", "md5", "sentence"),
    [
        ("failed", MD5, MD5, "the data validation of c v1 says failed, not passed"),
        ("unknown", MD5, MD5, "says unknown, not passed"),
        ("passed", "", MD5, "does not say that the data on disk passed"),
        ("passed", MD5, "b" * 32, "is about data that c v1 was not trained on"),
    ],
)
def test_validation_must_have_passed_for_this_data(facts, tag, validated, md5, sentence):
    candidate = entrant(facts.digests, md5, **{VALIDATION_TAG: tag})
    checks = data_checks([candidate], None, DataFacts(facts.digests, 0, validated))
    (check,) = (check for check in checks if check.name == "validation")
    assert check.verdict == FAIL
    assert sentence in check.sentence


def test_a_champion_that_was_tested_on_other_rows_is_no_fair_opponent(facts):
    candidate = entrant(facts.digests)
    assert verdicts(candidate, entrant(other(facts.digests, "test")), facts)["test_rows"] == FAIL
    assert verdicts(candidate, entrant(other(facts.digests, "train")), facts)["test_rows"] == PASS
    assert verdicts(candidate, entrant(facts.digests, **{TEST_TAG: "0" * 64}), facts)["test_rows"] == FAIL
    assert verdicts(candidate, entrant(facts.digests, **{TEST_TAG: facts.test_sha256}), facts)["test_rows"] == PASS


@pytest.mark.parametrize(
    ("status", "changed", "validated"), [("passed", False, MD5), ("failed", False, ""), ("passed", True, "")]
)
def test_a_validation_counts_that_passed_and_is_the_one_that_dvc_recorded(
    prepared_directory, tmp_path, monkeypatch, status, changed, validated
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    report = tmp_path / "reports/validation.json"
    report.write_text(json.dumps({"status": status}))
    out, dep = {"path": "reports/validation.json", "md5": digest(report, "md5")}, {"path": "data/prepared", "md5": MD5}
    (tmp_path / "dvc.lock").write_text(json.dumps({"stages": {"validate": {"cmd": "", "deps": [dep], "outs": [out]}}}))
    if changed:
        report.write_text(json.dumps({"status": status, "more": 1}))
    assert read_data_facts(prepared_directory, read_prepared(prepared_directory)).validated == validated
