import json
import time

import pytest
from mlflow import MlflowClient
from mlflow.pyfunc import PythonModel, save_model
from registry.vault import SERVED

from vaeline.errors import VaelineError
from vaeline.pyfunc.clean_process import answers_of
from vaeline.pyfunc.golden import GOLDEN
from vaeline.registry import rollback
from vaeline.registry.chain import entry_digest
from vaeline.registry.ledger import read_ledger
from vaeline.registry.rollback import plan_rollback, roll_back
from vaeline.registry.stored import stored_version, try_stored
from vaeline.registry.versions import ARCHIVE
from vaeline.tracking.runs import DIGEST_TAG, FILES_TAG


@pytest.fixture
def tried(monkeypatch):
    """The models that a rollback tried, without a process for each."""
    names = []
    monkeypatch.setattr(rollback, "try_stored", lambda stored: names.append(stored.name))
    return names


def back(vault, **options):
    return roll_back(vault.client, SERVED, "it draws sevens", **options)


def test_a_rollback_goes_to_the_champion_before(succeeded, tried):
    told = []
    entry = back(succeeded, tell=told.append)
    assert succeeded.champion() == "1"
    assert tried == [f"models:/{SERVED}/1"]
    assert [line.partition(":")[0] for line in told] == ["leaves", "trial", "ledger", "alias"]
    expected = {"action": "rollback", "from": "2", "to": "1", "reason": "it draws sevens", "number": 3}
    expected |= {"to_digest": succeeded.served(1).tags[DIGEST_TAG], "from_digest": succeeded.served(2).tags[DIGEST_TAG]}
    assert entry.items() >= expected.items()
    left, reached = succeeded.served(2).tags, succeeded.served(1).tags
    assert left["vaeline.rolled_back_at"] == entry["at"]
    assert left["vaeline.rolled_back_by"] == "tester"
    assert left["vaeline.rollback_reason"] == "it draws sevens"
    assert reached["vaeline.ledger_sha256"] == entry_digest(entry)
    assert "vaeline.rolled_back_at" not in reached


def test_two_rollbacks_in_a_row_go_back_two_steps_and_a_third_says_there_is_no_more(succeeded, tried):
    succeeded.crown(3)
    assert [back(succeeded)["to"], back(succeeded)["to"]] == ["2", "1"]
    with pytest.raises(
        VaelineError, match=r"is version 1 \(entry 5: rollback by tester, .*there was no champion before it"
    ):
        back(succeeded)
    assert back(succeeded, to="3")["to"] == "3"
    assert [entry["action"] for entry in read_ledger(succeeded.client, SERVED)] == ["promote"] * 3 + ["rollback"] * 3


def delete(vault):
    vault.client.delete_model_version(SERVED, "1")


def change_tag(vault):
    vault.client.set_model_version_tag(SERVED, "1", DIGEST_TAG, vault.served(2).tags[DIGEST_TAG])


def change_archive(vault):
    file = vault.file(vault.served(1), ARCHIVE)
    file.write_bytes(file.read_bytes() + b"!")


def lose_archive(vault):
    vault.file(vault.served(1), ARCHIVE).unlink()


def forget_files(vault, version):
    """The version as an older vaeline registered it: without a digest of its files."""
    vault.client.delete_model_version_tag(version.name, version.version, FILES_TAG)
    return vault.client.get_model_version(version.name, version.version)


def lose_golden(vault):
    forget_files(vault, vault.served(1))
    vault.file(vault.served(1), f"model/{GOLDEN}").unlink()


def break_ledger(vault):
    vault.sql("UPDATE params SET value = replace(value, 'tester', 'someone') WHERE key = '000001'")


def leave(vault):
    """As it is."""


@pytest.mark.parametrize(
    ("spoil", "options", "sentence"),
    [
        (delete, {}, "version 1 of vae-digits was deleted"),
        (
            change_tag,
            {},
            r"has another digest than when it was champion \(entry 1 of the ledger\): its tag was changed",
        ),
        (change_archive, {}, r"vae\.keras of models:/vae-digits/1: SHA-256 is \w+, expected"),
        (lose_archive, {}, r"has no file model/artifacts/vae\.keras in the store"),
        (lose_golden, {}, "models:/vae-digits/1 has no golden outputs"),
        (break_ledger, {}, "ledger of vae-digits is broken: entry 1 does not have the digest that entry 2 records"),
        (leave, {"to": "2"}, r"^--to 2: the champion of vae-digits is version 2 \(entry 2: promote by .*\) already"),
        (leave, {"to": "7"}, "--to 7: this version of vae-digits was never champion; the champions were: 1, 2"),
        (leave, {"reason": " "}, "a rollback needs a --reason"),
    ],
)
def test_what_cannot_be_gone_back_to_is_refused(succeeded, spoil, options, sentence):
    spoil(succeeded)
    before = read_ledger(succeeded.client, SERVED)
    with pytest.raises(VaelineError, match=sentence) as error:
        roll_back(succeeded.client, SERVED, **{"reason": "why not", **options})
    assert "\n" not in str(error.value)
    assert (succeeded.champion(), read_ledger(succeeded.client, SERVED)) == ("2", before)


def test_a_model_that_answers_as_it_did_when_it_was_registered_passes_its_trial(vault, monkeypatch):
    stored = stored_version(vault.client, vault.candidate(1))
    began = time.process_time()
    try_stored(stored)
    assert time.process_time() - began < 3  # it was loaded in another process
    other = json.loads(vault.file(vault.candidate(2), f"model/{GOLDEN}").read_text())["answers"]
    monkeypatch.setattr("vaeline.registry.stored.answers_of", lambda folder, questions, name: other)
    with pytest.raises(VaelineError, match="candidates/1 does not reproduce its golden outputs: reconstruct: images"):
        try_stored(stored)


def test_the_trial_runs_the_packaged_code(vault):
    version = forget_files(vault, vault.candidate(1))
    vault.file(version, "model/code/vaeline/__init__.py").write_text("raise RuntimeError('moths')\n")
    with pytest.raises(VaelineError, match=r"candidates/1 does not load and answer in a clean process: .*moths"):
        try_stored(stored_version(vault.client, version))


class Pickled(PythonModel):
    """A model that can only be loaded by pickle."""

    def predict(self, model_input: list[str]) -> list[str]:
        return model_input


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("processes")
def test_the_trial_unpickles_nothing(tmp_path):
    save_model(tmp_path / "model", python_model=Pickled(), pip_requirements=[])
    with pytest.raises(VaelineError, match=r"^it does not load and answer in a clean process: .*pickle is disallowed"):
        answers_of(tmp_path / "model", {}, "it")


def test_a_rollback_that_broke_off_is_finished_before_the_next(succeeded, tried, monkeypatch):
    succeeded.crown(3)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MlflowClient, "set_registered_model_alias", interrupt)
        back(succeeded)
    assert succeeded.champion() == "3"
    assert plan_rollback(succeeded.client, SERVED).steps()[0].startswith("finish: entry 4")
    told = []
    assert back(succeeded, tell=told.append)["to"] == "1"
    assert told[0] == "finished: entry 4 of the ledger, rollback to version 2"
    assert "vaeline.rolled_back_at" in succeeded.served(3).tags


def interrupt(*arguments):
    raise KeyboardInterrupt


def test_an_alias_that_was_moved_by_hand_is_put_where_a_person_says(succeeded, tried):
    succeeded.client.delete_registered_model_alias(SERVED, "champion")
    with pytest.raises(VaelineError, match="is nowhere, not at version 2 where the ledger's last entry put it; choose"):
        back(succeeded)
    assert back(succeeded, to="2")["from"] == ""
    succeeded.client.set_registered_model_alias(SERVED, "champion", "1")
    entry = back(succeeded, to="2")
    assert (entry["from"], entry["to"], succeeded.champion()) == ("1", "2", "2")
    succeeded.client.set_registered_model_alias(SERVED, "champion", "1")
    entry = back(succeeded, to="1")  # it may stay where it is, too, once a person has said why
    assert (entry["from"], entry["to"], succeeded.champion()) == ("1", "1", "1")


def test_a_champion_that_was_deleted_is_rolled_back_from(succeeded, tried):
    succeeded.client.delete_model_version(SERVED, "2")
    assert back(succeeded, to="1")["to"] == "1"
    assert succeeded.champion() == "1"
