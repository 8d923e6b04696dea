import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import requests
from conftest import ROOT
from forking.programs import forked_python
from mlflow import MlflowClient
from registry.vault import CANDIDATES, SERVED

from vaeline.errors import VaelineError
from vaeline.params.whole import change_params
from vaeline.registry import moves, promotion
from vaeline.registry.chain import broken_links, entry_digest
from vaeline.registry.ledger import done_digest, read_ledger
from vaeline.registry.promotion import plan_promotion, promote
from vaeline.registry.rollback import roll_back
from vaeline.registry.terms import REQUIRED_TAGS, Terms
from vaeline.registry.versions import ARCHIVE
from vaeline.tracking.runs import DIGEST_TAG

PROMOTER = """
import sys, time
from pathlib import Path
from vaeline.errors import VaelineError
from vaeline.params.whole import read_params
from datetime import timedelta
from vaeline.registry import moves
from vaeline.gate.policy import policy
from vaeline.registry.promotion import promote
from vaeline.registry.terms import Terms
from vaeline.tracking.store import open_store
client, number, store = open_store(), sys.argv[1], Path("..")
append = moves.append
def append_together(*arguments):
    Path("ready").touch()
    while not (store / "go").exists():
        time.sleep(0.002)
    return append(*arguments)
moves.append = append_together
params = read_params(store / "vault/params.yaml")
terms = Terms(timedelta(days=7), policy(params))
candidate = client.get_model_version("vae-digits-candidates", number)
try:
    promote(client, candidate, "vae-digits", terms)
    print("moved")
except VaelineError as error:
    print(error)
"""


class PowerCutError(Exception):
    """What stands for the end of a process."""


def promote_it(vault, number, **options):
    return promote(vault.client, vault.candidate(number), SERVED, vault.terms, **options)


def contents(vault):
    """All that a promotion may write."""
    tags = {number: vault.served(number).tags for number in vault.versions()} if vault.versions(SERVED) else {}
    return tags, vault.champion() if tags else "", read_ledger(vault.client, SERVED)


def test_the_first_candidate_that_passes_becomes_champion(vault):
    vault.gate(1)
    entry = promote_it(vault, 1)
    assert vault.champion() == "1"
    served, candidate = vault.served(1), vault.candidate(1)
    assert served.tags.items() >= candidate.tags.items()
    assert {tag.removeprefix("vaeline."): value for tag, value in served.tags.items() if "promot" in tag} == {
        "promoted_from": f"models:/{CANDIDATES}/1",
        "promoted_by": "tester",
        "promoted_at": entry["at"],
        "promotion_reason": "passed the gate's floors; there was no champion",
    }
    assert served.tags["vaeline.replaces_version"] == ""
    assert served.tags["vaeline.ledger_sha256"] == entry_digest(entry)
    assert read_ledger(vault.client, SERVED) == [entry]
    expected = {"action": "promote", "model": SERVED, "from": "", "to": "1", "from_digest": ""}
    expected |= {"to_digest": candidate.tags[DIGEST_TAG], "gate_sha256": candidate.tags["vaeline.gate_sha256"]}
    assert entry.items() >= expected.items()


def test_a_better_candidate_replaces_the_champion(crowned):
    entry = promote_it(crowned, 2)
    assert (crowned.champion(), entry["from"], entry["to"]) == ("2", "1", "2")
    assert entry["from_digest"] == crowned.candidate(1).tags[DIGEST_TAG]
    assert entry["reason"] == "passed the gate: better by 2.10 (1.40 to 2.80)"
    assert crowned.served(2).tags["vaeline.replaces_version"] == "1"


def test_promoting_the_champion_again_changes_nothing(crowned):
    before, told = contents(crowned), []
    assert promote_it(crowned, 1, tell=told.append) is None
    assert told == [f"models:/{CANDIDATES}/1 is version 1 of {SERVED} and already champion: nothing to do"]
    assert contents(crowned) == before


def test_a_dry_run_says_everything_and_writes_nothing(crowned):
    before = contents(crowned)
    steps = plan_promotion(crowned.client, crowned.candidate(2), SERVED, crowned.terms).steps()
    replaces, copy, ledger, alias = steps
    assert replaces.startswith(f"replaces: the champion of {SERVED} is version 1 (entry 1: promote by tester, 20")
    assert copy.startswith(f"copy: the new version of {SERVED} becomes a copy of models:/{CANDIDATES}/2, SHA-256 ")
    assert ledger.startswith("ledger: entry 2, promote from 1 by tester, gate ")
    assert ledger.endswith("reason: passed the gate: better by 2.10 (1.40 to 2.80)")
    assert alias == f"alias: @champion of {SERVED} goes from version 1 to the new version"
    assert contents(crowned) == before


def forget_report(vault):
    for tag in ("vaeline.gate_verdict", "vaeline.gate_sha256"):
        vault.client.delete_model_version_tag(CANDIDATES, "2", tag)


def change_report(vault):
    file = vault.file(vault.candidate(2), "gate/gate.json")
    file.write_text(file.read_text().replace("1.4", "1.5"))


def lose_report(vault):
    vault.file(vault.candidate(2), "gate/gate.json").unlink()


def change_archive(vault):
    file = vault.file(vault.candidate(2), ARCHIVE)
    file.write_bytes(file.read_bytes() + b"!")


def lose_archive(vault):
    vault.file(vault.candidate(2), ARCHIVE).unlink()


def lower_threshold(vault):
    change_params({"gate.min_gain": 0.25}, vault.root / "params.yaml")


def other_champion(vault):
    vault.crown(3)


def move_by_hand(vault):
    vault.crown(3)
    vault.gate(2)
    vault.client.set_registered_model_alias(SERVED, "champion", "1")


def change_last_entry(vault):
    vault.sql("UPDATE params SET value = replace(value, 'tester', 'someone') WHERE key = '000001'")


def no_champion(vault):
    vault.gate(2, champion=None)


def other_model(vault):
    vault.gate(2, candidate={"name": CANDIDATES, "version": "2", "model_digest": "0" * 64})


def fails(vault):
    failed = {"name": "kl", "verdict": "fail", "sentence": "the KL is 0.1, at least 2 is asked"}
    vault.gate(2, "fail", checks=[failed, {"name": "service", "verdict": "not run", "sentence": "left out"}])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (forget_report, rf"^models:/{CANDIDATES}/2 has no gate report; run `vaeline gate 2`$"),
        (change_report, r"gate\.json of its run differs from the tag vaeline\.gate_sha256"),
        (lose_report, r"its run has no gate/gate\.json; run `vaeline gate 2`"),
        (fails, "the gate's verdict on .* is fail: the KL is 0.1, at least 2 is asked$"),
        (lambda vault: vault.gate(2, "inconclusive"), "the gate's verdict on .* is inconclusive: the gain is 2.1"),
        (lambda vault: vault.gate(2, days_ago=7.5), r"is 7\.5 days old, but registry\.report_days is 7; run"),
        (lambda vault: vault.gate(2, days_ago=-1), r"has a future date"),
        (lambda vault: vault.gate(2, mode="non_inferior"), "this alone is no reason to promote it; give a --reason"),
        (lower_threshold, r"by another policy: gate\.min_gain was \S+ and is 0\.25 in params\.yaml"),
        (
            other_champion,
            "compared .* with version 1, but the champion of vae-digits is version 2 .entry 2: promote by",
        ),
        (change_last_entry, "the ledger of vae-digits is broken: entry 1 is not the one that was carried out; look at"),
        (no_champion, "compared .* with no champion, but the champion of vae-digits is version 1"),
        (move_by_hand, "@champion of vae-digits is at version 1, not at version 2 where the ledger's last entry put"),
        (other_model, "report is about another model"),
        (change_archive, r"vae\.keras of models:/vae-digits-candidates/2: SHA-256 is \w+, expected"),
        (lose_archive, r"has no file model/artifacts/vae\.keras in the store"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_did_not_pass_here_and_now_is_refused(crowned, spoil, sentence):
    spoil(crowned)
    before = contents(crowned)
    with pytest.raises(VaelineError, match=sentence) as error:
        promote_it(crowned, 2)
    assert "\n" not in str(error.value)
    assert contents(crowned) == before


def test_every_required_tag_is_required(crowned):
    for tag in set(REQUIRED_TAGS) - {"vaeline.gate_verdict"}:
        candidate = crowned.candidate(2)
        del candidate.tags[tag]
        with pytest.raises(VaelineError, match=rf"/2 lacks the tags {tag}, which a promotion requires"):
            plan_promotion(crowned.client, candidate, SERVED, crowned.terms)


def test_no_worse_takes_a_reason_from_a_person(crowned):
    crowned.gate(2, mode="non_inferior")
    assert promote_it(crowned, 2, reason="a tenth of the size")["reason"] == "a tenth of the size"


def test_only_the_named_champion_is_replaced(crowned):
    for replaces, shown in (("3", "3"), ("", "none")):
        with pytest.raises(VaelineError, match=rf"^--replaces {shown}: the champion of vae-digits is version 1"):
            promote(crowned.client, crowned.candidate(2), SERVED, terms_with(crowned, replaces))
    promote(crowned.client, crowned.candidate(2), SERVED, terms_with(crowned, "1"))
    assert crowned.champion() == "2"


def terms_with(vault, replaces):
    terms = vault.terms
    return Terms(terms.max_age, terms.policy, replaces)


def cut_off(patch, step, nth):
    """Let this process end, as it were, when the nth call of a method of MLflow's client has done its work."""
    method, calls = getattr(MlflowClient, step), []

    def cut(*arguments, **options):
        result = method(*arguments, **options)
        calls.append(step)
        if len(calls) == nth:
            raise PowerCutError
        return result

    patch.setattr(MlflowClient, step, cut)


@pytest.mark.parametrize(
    ("step", "nth", "recorded"),
    [
        ("create_model_version", 1, False),
        ("set_model_version_tag", 1, False),
        ("log_param", 1, True),
        ("set_model_version_tag", 3, True),
        ("set_registered_model_alias", 1, True),
    ],
)
def test_a_promotion_that_broke_off_is_repaired_by_running_it_again(crowned, monkeypatch, step, nth, recorded):
    with monkeypatch.context() as patch, pytest.raises(PowerCutError):
        cut_off(patch, step, nth)
        promote_it(crowned, 2)
    if crowned.champion() == "2":
        assert "vaeline.promoted_at" in crowned.served(2).tags  # whoever follows the alias finds the tags
    told = []
    promote_it(crowned, 2, tell=told.append)
    tags, champion, entries = contents(crowned)
    assert (champion, list(tags), len(entries)) == ("2", ["1", "2"], 2)
    assert tags["2"]["vaeline.ledger_sha256"] == entry_digest(entries[1])
    assert tags["2"]["vaeline.gate_sha256"] == crowned.candidate(2).tags["vaeline.gate_sha256"]
    assert ("finished: entry 2 of the ledger, promote to version 2" in told) == recorded


def test_another_promotion_finishes_the_one_that_broke_off(crowned, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(PowerCutError):
        cut_off(patch, "log_param", 1)
        promote_it(crowned, 2)
    assert crowned.champion() == "1"
    crowned.gate(3)
    told = []
    plan = plan_promotion(crowned.client, crowned.candidate(2), SERVED, crowned.terms)
    assert plan.steps()[0] == "finish: entry 2 of the ledger; its alias may not have moved"
    with pytest.raises(VaelineError, match=r"with version 1, but the champion of vae-digits is version 2 \(entry 2"):
        promote_it(crowned, 3, tell=told.append)
    assert told == ["finished: entry 2 of the ledger, promote to version 2"]
    assert crowned.champion() == "2"


def test_a_move_that_broke_off_and_whose_version_was_deleted_stops_nothing(crowned, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(PowerCutError):
        cut_off(patch, "log_param", 1)
        promote_it(crowned, 2)
    crowned.client.delete_model_version(SERVED, "2")
    told = []
    with pytest.raises(VaelineError, match="is at version 1, not at version 2 where the ledger's last entry put it"):
        promote_it(crowned, 2, tell=told.append)
    assert told == ["finished: entry 2 of the ledger, promote to version 2, which was deleted"]
    monkeypatch.setattr("vaeline.registry.rollback.try_stored", lambda stored: None)
    assert roll_back(crowned.client, SERVED, "what is left", "1")["to"] == "1"
    crowned.gate(2)
    assert promote_it(crowned, 2)["from"] == "1"
    assert crowned.served(crowned.champion()).tags[DIGEST_TAG] == crowned.candidate(2).tags[DIGEST_TAG]


def test_a_copy_that_lost_its_files_is_not_made_champion(succeeded, monkeypatch):
    """Version 1 was made from a run of which the files are gone; the same model was registered again since."""
    succeeded.gate(1)
    candidate = succeeded.candidate(1)
    candidate._run_id = succeeded.candidate(3).run_id
    lost = succeeded.file(succeeded.served(1), ARCHIVE)
    other = succeeded.file(succeeded.candidate(3), ARCHIVE)
    other.write_bytes(lost.read_bytes())
    report = succeeded.file(succeeded.candidate(3), "gate/gate.json")
    report.parent.mkdir()
    report.write_bytes(succeeded.file(succeeded.candidate(1), "gate/gate.json").read_bytes())
    lost.unlink()
    with pytest.raises(VaelineError, match=rf"^models:/{SERVED}/1 has no file {ARCHIVE}"):
        promote(succeeded.client, candidate, SERVED, succeeded.terms)


def test_a_slow_process_leaves_the_alias_where_a_later_entry_put_it(crowned, monkeypatch):
    """Between the ledger and the alias of one move, another machine makes a whole move."""
    set_alias, others = MlflowClient.set_registered_model_alias, []

    def wait_for_another(*arguments):
        if not others:
            others.append("rollback")
            standing = moves.read_standing(crowned.client, SERVED)
            moves.move(crowned.client, standing, "rollback", crowned.served(1), "no good", "")
            assert crowned.champion() == "1"
        set_alias(*arguments)

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", wait_for_another)
    promote_it(crowned, 2)
    assert [entry["to"] for entry in read_ledger(crowned.client, SERVED)] == ["1", "2", "1"]
    assert crowned.champion() == "1"


def test_where_two_copied_at_once_the_lower_version_counts(crowned, monkeypatch):
    copy = promotion.copy_version
    monkeypatch.setattr(promotion, "copy_version", lambda *given: [copy(*given), copy(*given)][1])
    entry = promote_it(crowned, 2)
    assert (entry["to"], crowned.champion(), crowned.versions()) == ("2", "2", ["1", "2", "3"])
    assert "vaeline.promoted_at" not in crowned.served(3).tags


@pytest.fixture
def server(crowned, tmp_path):
    """MLflow's server on the vault's store: its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{crowned.root}/mlflow.db"}
    settings |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log, cwd=tmp_path)
    try:
        address = f"http://127.0.0.1:{port}"
        while not answers(f"{address}/health"):
            assert process.poll() is None, (tmp_path / "server.log").read_text()
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def answers(address):
    try:
        return requests.get(address, timeout=5).ok
    except requests.RequestException:
        return False


def start_promoter(vault, home, number, python, **environment):
    home.mkdir()
    (home / "dvc.yaml").touch()
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{vault.root}/mlflow.db", "PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen(
        [python, "-c", PROMOTER, str(number)],
        cwd=home,
        env=os.environ | store | {"MLFLOW_TRACKING_USERNAME": home.name} | environment,
        text=True,
        stdout=subprocess.PIPE,
    )


@pytest.mark.parametrize("store", ["database", "server"])
def test_of_two_promoters_at_once_one_wins_and_the_other_is_told(crowned, tmp_path, request, store):
    """On two machines, which share no lock: both have read the same ledger before either writes."""
    where = {"MLFLOW_TRACKING_URI": request.getfixturevalue("server")} if store == "server" else {}
    homes = {"ann": 2, "bob": 3}
    crowned.gate(3)
    started = [
        start_promoter(crowned, tmp_path / name, number, forked_python(), **where) for name, number in homes.items()
    ]
    while not all((tmp_path / name / "ready").exists() for name in homes):
        assert all(process.poll() is None for process in started)
        time.sleep(0.01)
    (tmp_path / "go").touch()
    said = {name: process.communicate(timeout=240)[0].strip() for name, process in zip(homes, started, strict=True)}
    (winner,) = [name for name, words in said.items() if words == "moved"]
    (loser,) = set(homes) - {winner}
    assert said[loser].startswith(f"{winner} was faster: entry 2 of the ledger, promote to version ")
    assert "nothing was moved" in said[loser]
    first, entry = read_ledger(crowned.client, SERVED)
    assert broken_links([first, entry], done_digest(crowned.client, SERVED, 2)) == []
    assert (entry["number"], entry["who"]) == (2, winner)
    assert entry["to_digest"] == crowned.candidate(homes[winner]).tags[DIGEST_TAG]
    assert crowned.champion() == entry["to"]


def test_a_killed_promoter_leaves_no_lock_and_no_half_move(crowned, tmp_path):
    process = start_promoter(crowned, tmp_path / "ann", 2, sys.executable, DVC_ROOT=str(crowned.root))
    while not (tmp_path / "ann/ready").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert contents(crowned)[1:] == ("1", read_ledger(crowned.client, SERVED)[:1])
    promote_it(crowned, 2)
    assert (crowned.champion(), crowned.versions()) == ("2", ["1", "2"])
