"""What becomes of batches, and that a killed ingestion loses nothing, leaves nothing and can be repeated."""

import errno
import json
import os
import shutil
import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from matplotlib.figure import Figure

from vaeline.artifacts import digest
from vaeline.data.accepted import ACCEPTED, BATCHES, read_records, read_rows
from vaeline.data.near_duplicates import USUAL_DISTANCE
from vaeline.errors import VaelineError
from vaeline.ingestion import accept, quarantine, run
from vaeline.ingestion import ingest as module
from vaeline.ingestion.arrivals import INCOMING, arrivals
from vaeline.ingestion.batches import read_batch
from vaeline.ingestion.duplicates import looks_like_test
from vaeline.ingestion.ingest import alone, ingest
from vaeline.ingestion.quarantine import QUARANTINE
from vaeline.ingestion.run import as_report, open_rules
from vaeline.validation.checkpoint import FailedExpectation, Verdict

TRACK = accept.track  # before the place puts a note there
PASSES = Verdict("digits", 3, {"batch": 1}, [])
FAILS = Verdict("digits", 3, {"batch": 1}, [FailedExpectation("border of every image", "1 of 60", {}, 1, ["batch/2"])])


def send(name, images, labels=None):
    np.savez(INCOMING / name, images=images, **({} if labels is None else {"labels": labels}))


def take_in(rules, source=INCOMING):
    with alone():
        return [ingest(arrival, rules) for arrival in arrivals(str(source))]


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def verdict(monkeypatch):
    """Decide what validation says of every batch, without Great Expectations."""

    def decide(found):
        def check(rows, rules, docs):
            docs.mkdir(parents=True, exist_ok=True)
            return found

        monkeypatch.setattr(module, "check", check)

    return decide


def test_pictures_that_look_like_those_of_the_test_set_are_dropped_and_named(place, rules, digits, verdict):
    verdict(PASSES)
    images = np.concatenate([digits.images[1000:1020] // 2, digits.images[1300:1330]])
    send("week-1.npz", images, np.concatenate([digits.labels[1000:1020], digits.labels[1300:1330]]))
    (outcome,) = take_in(replace(rules, distance=USUAL_DISTANCE))
    dropped = outcome.facts["dropped"]["test, which they look like"]
    assert 20 <= dropped < 30  # some of the new digits of 8 x 8 pixels look like one of the test set by themselves
    assert f"{50 - dropped} of 50 rows ({dropped} known from test, which they look like)" in outcome.why
    (record,) = read_records("digits")
    assert read_rows(record).numbers.min() >= 20


def test_batches_of_another_size_or_type_look_like_nothing(rules, digits):
    other_size, other_type = digits.images[1000:1010, :20], digits.images[1000:1010].astype("float32")
    assert not looks_like_test(other_size, rules.prepared, USUAL_DISTANCE).any()
    assert not looks_like_test(other_type, rules.prepared, USUAL_DISTANCE).any()
    assert looks_like_test(digits.images[1000:1010], rules.prepared, USUAL_DISTANCE).all()


def test_a_clean_batch_is_accepted_with_its_provenance_and_the_same_again_is_a_no_op(place, rules, digits, verdict):
    verdict(PASSES)
    send("week-1.npz", digits.images[1150:1350], digits.labels[1150:1350])
    (outcome,) = take_in(rules)
    assert outcome.status == "accepted", outcome.why
    assert "150 of 200 rows (50 known from test); joins train and validation" in outcome.why
    (record,) = read_records("digits")
    assert record["id"] == f"{datetime.now(UTC):%Y%m%d}-{record['rows_sha256'][:12]}"
    assert record["dropped"] == {"test": 50}
    assert (record["rows"], record["kept"], record["labelled"]) == (200, 150, True)
    assert record["source"] == "data/incoming/week-1.npz"
    assert record["source_sha256"] == digest(INCOMING / "week-1.npz")
    assert record["who"] == "tester <tester@example.org>"
    assert datetime.fromisoformat(record["when"]).utcoffset().total_seconds() == 0
    assert record["validation"]["status"] == "passed"
    assert record["rows_per_class"] == np.bincount(digits.labels[1200:1350], minlength=10).tolist()
    rows = read_rows(record)
    np.testing.assert_array_equal(rows.images, digits.images[1200:1350])
    np.testing.assert_array_equal(rows.labels, digits.labels[1200:1350])
    np.testing.assert_array_equal(rows.numbers, np.arange(50, 200))

    order = np.random.default_rng(0).permutation(200)
    (INCOMING / "week-1.npz").rename(INCOMING / "renamed.npz")
    send("shuffled.npz", digits.images[1150:1350][order], digits.labels[1150:1350][order])
    before = digest(ACCEPTED), digest(BATCHES)
    again = take_in(rules)
    assert [outcome.status for outcome in again] == ["unchanged", "unchanged"]
    assert "is already accepted as" in again[0].why
    assert "has the same rows as" in again[1].why
    assert (digest(ACCEPTED), digest(BATCHES)) == before


def test_a_bad_batch_goes_into_quarantine_and_nothing_else_changes(place, rules, digits):
    images = digits.images[1200:1260].copy()
    images[7] = 0
    send("week-2.npz", images, digits.labels[1200:1260])
    came, before = digest(INCOMING / "week-2.npz"), digest(ACCEPTED)
    (outcome,) = take_in(rules)
    assert outcome.status == "quarantined"
    folder = QUARANTINE / "week-2.npz"
    assert digest(folder / "batch/week-2.npz") == came
    report = json.loads((folder / "report.json").read_text())
    assert report["source_sha256"] == came
    assert any("max of every image" in reason for reason in report["reasons"])
    assert report["validation"]["status"] == "failed"
    assert any(failure["image_ids"] == ["batch/7"] for failure in report["validation"]["failures"])
    assert (folder / "contact_sheet.png").stat().st_size > 5000
    assert (folder / "docs/index.html").is_file()
    assert files(INCOMING) == ["README.md"]
    assert digest(ACCEPTED) == before
    assert not BATCHES.exists()


def test_a_batch_that_cannot_be_read_goes_into_quarantine_as_it_came(place, rules):
    (INCOMING / "report.json").mkdir()
    (INCOMING / "report.json" / "1.png").write_text("no picture")
    (outcome,) = take_in(rules)
    assert outcome.status == "quarantined"
    assert "1.png: not a PNG, JPEG" in outcome.why
    assert files(QUARANTINE / "report.json") == ["batch/report.json/1.png", "report.json"]


def test_another_bad_batch_of_the_same_name_gets_a_folder_of_its_own(place, rules, digits, verdict):
    verdict(FAILS)
    for start in (1200, 1300):
        send("week.npz", digits.images[start : start + 60])
        take_in(rules)
    reports = [json.loads(file.read_text()) for file in QUARANTINE.glob("*/report.json")]
    assert len({report["source_sha256"] for report in reports}) == 2
    assert len(list(QUARANTINE.glob("*/batch/week.npz"))) == 2


def test_what_is_elsewhere_is_read_and_stays_and_a_refused_one_is_refused_once(place, rules, digits, verdict):
    verdict(FAILS)
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    np.savez(elsewhere / "week.npz", images=digits.images[1200:1260])
    before = digest(elsewhere)
    assert [outcome.status for outcome in take_in(rules, elsewhere)] == ["quarantined"]
    assert [outcome.status for outcome in take_in(rules, f"file://{elsewhere}")] == ["unchanged"]
    assert digest(elsewhere) == before
    (QUARANTINE / "week.npz/batch/week.npz").rename(INCOMING / "week.npz")
    verdict(PASSES)
    assert [outcome.status for outcome in take_in(rules)] == ["accepted"], "what a person moves back is judged again"


def test_a_batch_without_labels_is_kept_for_monitoring_and_its_rows_may_come_again_with_labels(
    place, rules, digits, verdict
):
    verdict(PASSES)
    send("1.npz", digits.images[1200:1260])
    assert "no labels, so it is used for monitoring only" in take_in(rules)[0].why
    send("2.npz", digits.images[1200:1260], digits.labels[1200:1260])
    assert [outcome.status for outcome in take_in(rules)] == ["unchanged", "accepted"]
    assert sorted(record["labelled"] for record in read_records("digits")) == [False, True]
    send("3.npz", digits.images[1190:1250])
    assert "has no new image" in take_in(rules)[2].why


def test_a_second_ingestion_leaves(place, rules):
    with alone(), pytest.raises(VaelineError, match="another `vaeline ingest` is running"), alone():
        pass


def test_nothing_is_accepted_if_dvc_fails(place, rules, digits, verdict, monkeypatch):
    verdict(PASSES)
    send("week.npz", digits.images[1200:1260], digits.labels[1200:1260])
    fails = lambda *_, **__: type("Done", (), {"returncode": 1, "stderr": "Unable to acquire lock"})  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(accept.subprocess, "run", fails)
        patch.setattr(accept, "track", TRACK)
        with pytest.raises(VaelineError, match=r"Unable to acquire lock\); correct this, then ingest again"):
            take_in(rules)
    assert read_records("digits") == []
    assert [outcome.status for outcome in take_in(rules)] == ["accepted"]


def test_the_report_sorts_the_outcomes(place, rules, digits, verdict):
    verdict(PASSES)
    send("week.npz", digits.images[1200:1260], digits.labels[1200:1260])
    report = as_report("data/incoming", take_in(rules))
    assert [batch["name"] for batch in report["accepted"]] == ["week.npz"]
    assert report["accepted"][0]["id"].startswith("20")
    assert (report["quarantined"], report["unchanged"]) == ([], [])


@pytest.mark.usefixtures("processes")
def test_the_rules_need_prepared_data_of_the_same_data_set_and_of_the_same_batches(
    place, params, some_prepared, monkeypatch
):
    prepared = place / "prepared"
    shutil.copytree(some_prepared, prepared)
    monkeypatch.setattr(run, "PREPARED", prepared)
    with pytest.raises(VaelineError, match=r"holds digits, but params\.yaml names mnist"):
        open_rules(params)
    digits = params.model_copy(update={"data": params.data.model_copy(update={"dataset": "digits"})})
    shutil.copytree(ROOT / "data/profiles", "data/profiles")
    assert open_rules(digits).dataset == "digits"
    manifest = json.loads((prepared / "manifest.json").read_text())
    (prepared / "manifest.json").write_text(json.dumps({**manifest, "batches": [{"id": "20260101-a"}]}))
    with pytest.raises(VaelineError, match="holds 20260101-a, which is no longer accepted"):
        open_rules(digits)


def killed_at(step, rules):
    """Ingest in a process that kills itself at a step: before or after a file takes its place, or DVC's work."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == signal.SIGKILL
    passed = 0

    def tick():
        nonlocal passed
        if passed == step:
            os.kill(os.getpid(), signal.SIGKILL)
        passed += 1

    def counted(function):
        def call(*arguments):
            tick()
            function(*arguments)
            tick()

        return call

    try:
        os.replace, accept.track = counted(os.replace), counted(accept.track)
        take_in(rules)
    finally:
        os._exit(0)


def whole(folder):
    return [file for file in folder.rglob("week.npz") if file.is_file()]


@pytest.mark.parametrize(("found", "steps"), [(PASSES, 8), (FAILS, 6)], ids=["accepted", "quarantined"])
@pytest.mark.usefixtures("processes")
def test_a_killed_ingestion_is_repeated_and_loses_nothing(place, rules, digits, verdict, monkeypatch, found, steps):
    verdict(found)
    monkeypatch.setattr(quarantine, "draw_contact_sheet", lambda *_: Figure(figsize=(1, 1)))
    for step in range(steps + 1):
        folder = place / f"killed-{step}"
        (folder / INCOMING).mkdir(parents=True)
        (folder / ACCEPTED).mkdir()
        monkeypatch.chdir(folder)
        send("week.npz", digits.images[1190:1260], digits.labels[1190:1260])
        came = digest(INCOMING / "week.npz")
        assert killed_at(step, rules) == (step < steps)
        assert [digest(file) for file in whole(folder)] == [came], "it lies in one place, whole"
        assert all(file.suffix == ".json" for file in ACCEPTED.rglob("*")), "the stage prepare sees records alone"
        for record in read_records("digits"):
            assert len(read_rows(record).images) == 60
            assert BATCHES.joinpath(f"{record['id']}.npz.dvc").exists()
        take_in(rules)
        batch = read_batch(whole(folder)[0], digits.classes, rules.prepared.image)
        if found is PASSES:
            (record,) = read_records("digits")
            np.testing.assert_array_equal(read_rows(record).images, batch.images[10:])
            assert files(BATCHES) == [f"{record['id']}.npz", f"{record['id']}.npz.dvc"]
        else:
            assert read_records("digits") == []
            assert files(QUARANTINE) == [
                f"week.npz/{name}" for name in ("batch/week.npz", "contact_sheet.png", "report.json")
            ]
            assert files(INCOMING) == []


@pytest.mark.parametrize("found", [PASSES, FAILS], ids=["accepted", "quarantined"])
def test_each_folder_of_data_may_be_on_a_device_of_its_own(place, rules, digits, verdict, monkeypatch, found):
    verdict(found)
    monkeypatch.setattr(quarantine, "draw_contact_sheet", lambda *_: Figure(figsize=(1, 1)))
    in_one_step = os.replace

    def within_a_device(path, target):
        if Path(path).parts[:2] != Path(target).parts[:2]:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        in_one_step(path, target)

    monkeypatch.setattr(os, "replace", within_a_device)
    send("week.npz", digits.images[1200:1260], digits.labels[1200:1260])
    came = digest(INCOMING / "week.npz")
    take_in(rules)
    if found is PASSES:
        (record,) = read_records("digits")
        assert sorted(path.name for path in ACCEPTED.iterdir()) == [f"{record['id']}.json", "README.md"]
        assert files(BATCHES) == [f"{record['id']}.npz", f"{record['id']}.npz.dvc"]
    else:
        assert digest(QUARANTINE / "week.npz/batch/week.npz") == came
        assert files(INCOMING) == ["README.md"]


@pytest.mark.usefixtures("processes")
def test_an_ingestion_that_goes_on_the_next_day_keeps_the_name(place, rules, digits, verdict):
    verdict(PASSES)
    send("week.npz", digits.images[1200:1260], digits.labels[1200:1260])
    assert killed_at(2, rules)
    (begun,) = BATCHES.glob("*.npz")
    begun.rename(begun.with_name(f"20200101-{begun.name.split('-')[1]}"))
    take_in(rules)
    assert [record["id"][:8] for record in read_records("digits")] == ["20200101"]
    assert len(list(BATCHES.glob("*.npz"))) == 1
