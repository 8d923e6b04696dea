import json
import os
import subprocess
import time

import pytest
from conftest import ROOT
from forking.programs import forked_python
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from registry.vault import SERVED

from vaeline.errors import VaelineError
from vaeline.registry.chain import FIELDS, broken_links, entry_digest
from vaeline.registry.ledger import OvertakenError, append, ledger_name, read_ledger
from vaeline.tracking.runs import search_all
from vaeline.tracking.store import run_pages

MOVE = {"action": "promote", "from": "", "to": "1", "from_digest": "", "to_digest": "d" * 64, "reason": "better"}
MOVE |= {"gate_sha256": "9" * 64}
WRITER = """
import json, sys, time
from pathlib import Path
from vaeline.registry.ledger import OvertakenError, append, read_ledger
from vaeline.tracking.store import open_store
client, name, count, move = open_store(), sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
Path("ready").touch()
while not Path("../go").exists():
    time.sleep(0.002)
while count:
    try:
        append(client, name, read_ledger(client, name), move)
        count -= 1
    except OvertakenError:
        pass
"""


def write(vault, *reasons):
    for reason in reasons:
        append(vault.client, SERVED, read_ledger(vault.client, SERVED), MOVE | {"reason": reason})
    return read_ledger(vault.client, SERVED)


def write_from(folder, processes, count, store):
    """Let several processes, each in a repository of its own, write to one ledger at once."""
    (folder / "go").unlink(missing_ok=True)
    environment = os.environ | {"MLFLOW_TRACKING_URI": store, "PYTHONPATH": str(ROOT / "src")}
    writers = []
    for number in range(processes):
        home = folder / f"writer-{number}"
        home.mkdir()
        (home / "dvc.yaml").touch()
        command = [forked_python(), "-c", WRITER, SERVED, str(count), json.dumps(MOVE)]
        writers.append(subprocess.Popen(command, cwd=home, env=environment | {"MLFLOW_TRACKING_USERNAME": str(number)}))
    while not all((folder / f"writer-{number}/ready").exists() for number in range(processes)):
        assert all(writer.poll() is None for writer in writers)
        time.sleep(0.01)
    (folder / "go").touch()
    assert [writer.wait(240) for writer in writers] == [0] * processes


def test_an_entry_says_who_when_and_why_and_seals_the_one_before(vault, monkeypatch):
    for name, value in {"SERVER_URL": "https://github.example", "REPOSITORY": "a/b", "RUN_ID": "7"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    first, second = write(vault, "first", "second")
    assert set(first) == set(FIELDS)
    assert (first["number"], first["who"], first["reason"], first["previous_sha256"]) == (1, "tester", "first", "")
    assert first["ci_url"].startswith("https://github.example/a/b/actions/runs/7")
    assert second["previous_sha256"] == entry_digest(first)
    assert first["at"] < second["at"]
    assert broken_links([first, second]) == []


def test_who_has_not_seen_the_last_entry_writes_none(vault):
    seen = write(vault, "first")
    write(vault, "second")
    with pytest.raises(OvertakenError, match=r"^tester was faster: entry 2 of the ledger, promote to version 1 at 20"):
        append(vault.client, SERVED, seen, MOVE | {"reason": "too late"})
    with pytest.raises(OvertakenError, match="entry 1 of the ledger"):
        append(vault.client, SERVED, [], MOVE)
    assert [entry["reason"] for entry in read_ledger(vault.client, SERVED)] == ["first", "second"]


def test_an_entry_whose_answer_was_lost_is_written_once(vault, monkeypatch):
    log_param = MlflowClient.log_param

    def lose_answer(*arguments):
        log_param(*arguments)
        raise MlflowException("connection reset")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_param", lose_answer)
        entry = append(vault.client, SERVED, [], MOVE)
    assert read_ledger(vault.client, SERVED) == [entry]


def test_a_store_that_refuses_to_write_is_no_overtaking(vault, monkeypatch):
    def refuse(*arguments):
        raise MlflowException("disk full")

    monkeypatch.setattr(MlflowClient, "log_param", refuse)
    with pytest.raises(MlflowException, match="disk full"):
        append(vault.client, SERVED, [], MOVE)


def test_processes_that_write_at_once_make_one_ledger_with_every_entry(vault, tmp_path):
    write_from(tmp_path, 3, 8, f"sqlite:///{vault.root}/mlflow.db")
    entries = read_ledger(vault.client, SERVED)
    assert broken_links(entries) == []
    assert sorted(entry["who"] for entry in entries) == sorted("012" * 8)
    ledgers = [item.name for item in vault.client.search_experiments() if "ledger" in item.name]
    assert ledgers == [ledger_name(SERVED)]


def test_no_one_can_write_an_entry_again(vault):
    write(vault, "first")
    run = vault.client.get_experiment_by_name(ledger_name(SERVED)).tags["vaeline.ledger_run"]
    with pytest.raises(Exception, match="Changing param values is not allowed"):
        vault.client.log_param(run, "000001", "{}")


def test_what_is_missing_or_unreadable_breaks_the_chain(vault):
    write(vault, "first", "second", "third")
    vault.sql("UPDATE params SET value = 'no JSON' WHERE key = '000002'")
    assert broken_links(read_ledger(vault.client, SERVED))[0] == "entry 2 cannot be read: 'no JSON'"
    vault.sql("DELETE FROM params WHERE key = '000002'")
    assert broken_links(read_ledger(vault.client, SERVED)) == ["entry 2 is missing"]
    vault.sql("DELETE FROM params WHERE key = '000001'")
    assert broken_links(read_ledger(vault.client, SERVED)) == ["entry 1 is missing"]


def test_a_reason_that_mlflow_would_cut_is_refused(vault):
    with pytest.raises(VaelineError, match="6,000 characters at most"):
        write(vault, "x" * 6000)
    assert read_ledger(vault.client, SERVED) == []


def test_a_ledger_in_the_trash_is_not_an_empty_one(vault):
    write(vault, "first")
    experiment = vault.client.get_experiment_by_name(ledger_name(SERVED)).experiment_id
    vault.client.delete_experiment(experiment)
    with pytest.raises(VaelineError, match=rf"was deleted; `mlflow experiments restore -x {experiment}` restores"):
        read_ledger(vault.client, SERVED)


def test_the_ledger_is_no_training(vault):
    write(vault, "first")
    assert {run.info.run_name for run in search_all(vault.client, "")} == {"seed 1", "seed 2", "seed 3"}
    assert list(run_pages(vault.client, "http://here")) == ["vae-digits"]
