import json
import subprocess

import pytest
from registry.vault import CANDIDATES, SERVED
from typer.testing import CliRunner

from vaeline.cli import app
from vaeline.registry.signing import SIGNATURE


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("vaeline.registry.rollback.try_stored", lambda stored: None)

    def run(*arguments, status=0):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == status, result.output
        return result.output

    return run


def test_the_moves_of_a_champion_from_the_command_line(vault, run):
    assert "has no ledger yet" in run("history")
    assert "no version of vae-digits was promoted yet" in run("rollback", "--reason", "why", status=1)
    assert "has no gate report; run `vaeline gate 1`" in run("promote", "1", status=1)
    vault.gate(1)
    assert "dry run: nothing was written" in run("promote", "1", "--dry-run", "--replaces", "none")
    assert vault.versions() == []
    assert "version 1 of vae-digits is champion" in run("promote", f"models:/{CANDIDATES}/1", "--replaces", "none")
    vault.gate(2)
    assert "--replaces 7: the champion of vae-digits is version 1" in run("promote", "2", "--replaces", "7", status=1)
    run("promote", "2", "--replaces", "1", "--reason", "better by far")
    assert "nothing to do" in run("promote", "2")
    assert "goes from version 2 to version 1" in run("rollback", "--reason", "it draws sevens", "--dry-run")
    assert vault.champion() == "2"
    assert "version 1 of vae-digits is champion again" in run("rollback", "--reason", "it draws sevens")
    assert "was never champion; the champions were: 1, 2" in run("rollback", "--reason", "why", "--to", "9", status=1)
    assert "ledger.jsonl: 3 lines" in run("history", "--export", "ledger.jsonl")
    table = [line for line in run("history").splitlines() if "tester" in line]
    assert [line.split("│")[4].strip() for line in table] == ["promote", "promote", "rollback"]
    assert "better by far" in table[1]
    assert "it draws sevens" in table[2]
    entries = [json.loads(line) for line in (vault.root / "ledger.jsonl").read_text().splitlines()]
    assert [(entry["from"], entry["to"]) for entry in entries] == [("", "1"), ("1", "2"), ("2", "1")]


def test_a_broken_ledger_is_shown_and_exits_with_1(succeeded, run):
    succeeded.sql("UPDATE params SET value = replace(value, 'tester', 'someone') WHERE key = '000001'")
    output = run("history", status=1)
    assert "someone" in output
    assert "the ledger of vae-digits is broken: entry 1 does not have the digest that entry 2 records" in output
    assert "1 error, 0 warnings" in run("registry", "check", status=1)


def test_the_health_of_the_registry(succeeded, run):
    assert run("registry", "check") == f"{SERVED} and {CANDIDATES}: 0 errors, 0 warnings\n"
    succeeded.sql("UPDATE model_versions SET creation_time = 0")
    assert f"warning: models:/{CANDIDATES}/3: was registered " in run("registry", "check")
    succeeded.client.set_registered_model_alias(SERVED, "champion", "1")
    output = run("registry", "check", status=1)
    assert "error: vae-digits@champion: is version 1, but the ledger says version 2; what to do: `vaeline ro" in output


def test_what_is_left_over(succeeded, run):
    assert "there are no git branches here" in run("registry", "gc", "--dry-run", status=1)
    for command in (["init", "--quiet"], ["add", "dvc.yaml"], ["commit", "--quiet", "--message", "Start"]):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *command], check=True)
    succeeded.sql("UPDATE model_versions SET creation_time = 0")
    output = run("registry", "gc", "--dry-run")
    assert f"keep models:/{SERVED}/2: {SERVED}@champion" in output
    assert f"would delete models:/{CANDIDATES}/3, and its files\nwould delete 1 version" in output
    assert succeeded.versions(CANDIDATES) == ["1", "2", "3"]
    assert "deleted 1 version" in run("registry", "gc")
    assert succeeded.versions(CANDIDATES) == ["1", "2"]


def test_a_version_is_signed_with_a_key(vault, run, monkeypatch):
    assert "no key to sign with: VAELINE_SIGNING_KEY names" in run("registry", "sign", "1", status=1)
    subprocess.run(
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem"],
        check=True,
        capture_output=True,
    )
    monkeypatch.setenv("VAELINE_SIGNING_KEY", "key.pem")
    assert f"models:/{CANDIDATES}/1 is signed" in run("registry", "sign", "1")
    assert vault.file(vault.candidate(1), f"model/{SIGNATURE}").is_file()


def test_a_store_that_does_not_answer_is_a_sentence(vault, run, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert "the tracking store http://127.0.0.1:1 cannot be used" in run("history", status=1)
