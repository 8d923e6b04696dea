import subprocess
from datetime import timedelta

import pytest
from registry.vault import CANDIDATES, DATASET, SERVED

from vaeline.errors import VaelineError
from vaeline.registry.garbage import MD5_TAG, collect, judge_versions
from vaeline.registry.health import check_registry
from vaeline.registry.names import served_name
from vaeline.registry.promotion import promote
from vaeline.registry.stored import load_stored, stored_version
from vaeline.registry.versions import ARCHIVE
from vaeline.tracking.branches import locked_models
from vaeline.tracking.runs import DIGEST_TAG

NOW = timedelta(0)
FIRST, SECOND, THIRD = (f"models:/{CANDIDATES}/{number}" for number in (1, 2, 3))
LOCK = """
schema: '2.0'
stages:
  train:
    cmd: train
    outs:
    - path: models/vae.keras
      md5: {}
"""


def git(*arguments, cwd="."):
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True)


def lock(vault, number):
    (vault.root / "dvc.lock").write_text(LOCK.format(vault.candidate(number).tags[MD5_TAG]))


@pytest.fixture
def committed(vault):
    """A vault in a git repository whose only branch has no dvc.lock yet."""
    git("init", "--quiet", "--initial-branch", "main")
    git("add", "dvc.yaml")
    git("commit", "--quiet", "--message", "Start")
    return vault


def commit_lock(vault, number):
    lock(vault, number)
    git("add", "--force", "dvc.lock")
    git("commit", "--quiet", "--message", f"Train {number}")


def judged(vault, untouched_for=NOW):
    return {item.uri: item.kept_by for item in judge_versions(vault.client, DATASET, untouched_for)}


def test_what_nothing_leads_to_is_garbage(committed):
    assert judged(committed) == {FIRST: "", SECOND: "", THIRD: ""}


def test_what_is_young_or_was_gated_of_late_is_kept(committed):
    assert set(judged(committed, timedelta(days=1)).values()) == {"its age"}
    committed.sql("UPDATE model_versions SET creation_time = 0")
    committed.gate(2)
    assert judged(committed, timedelta(days=1)) == {FIRST: "", SECOND: "its gate report", THIRD: ""}
    committed.gate(2, days_ago=2)
    assert set(judged(committed, timedelta(days=1)).values()) == {""}


def test_aliases_and_the_ledger_keep_the_served_versions_and_their_candidates(committed):
    committed.crown(1, 2)
    committed.client.set_registered_model_alias(CANDIDATES, "studied", "3")
    assert judged(committed) == {
        FIRST: "entry 1 of the ledger",
        SECOND: f"{SERVED}@champion",
        THIRD: f"{CANDIDATES}@studied",
        f"models:/{SERVED}/1": "entry 1 of the ledger",
        f"models:/{SERVED}/2": f"{SERVED}@champion",
    }


def test_an_alias_keeps_what_it_points_at_even_if_no_ledger_knows_it(committed):
    committed.client.copy_model_version(SECOND, SERVED)
    assert judged(committed)[f"models:/{SERVED}/1"] == ""
    committed.client.set_registered_model_alias(SERVED, "shadow", "1")
    kept = judged(committed)
    assert (kept[f"models:/{SERVED}/1"], kept[SECOND], kept[FIRST]) == (f"{SERVED}@shadow", f"{SERVED}@shadow", "")


def test_the_dvc_lock_of_every_branch_and_tag_and_of_the_work_tree_keeps_its_model(committed):
    git("switch", "--quiet", "--create", "aside")
    commit_lock(committed, 1)
    git("switch", "--quiet", "--detach", "main")
    commit_lock(committed, 2)
    git("tag", "--annotate", "--message", "v1", "v1")
    git("switch", "--quiet", "main")
    assert judged(committed) == {
        FIRST: "dvc.lock of refs/heads/aside",
        SECOND: "dvc.lock of refs/tags/v1",
        THIRD: "",
    }
    lock(committed, 3)
    assert judged(committed)[THIRD].startswith("dvc.lock of ")


def test_a_lock_is_matched_with_the_file_where_a_tag_is_missing_or_wrong(committed):
    commit_lock(committed, 1)
    committed.client.delete_model_version_tag(CANDIDATES, "1", MD5_TAG)
    assert judged(committed)[FIRST] == "dvc.lock of refs/heads/main"
    committed.client.set_model_version_tag(CANDIDATES, "1", MD5_TAG, "0" * 32)
    assert judged(committed)[FIRST] == "dvc.lock of refs/heads/main"
    committed.file(committed.candidate(2), ARCHIVE).unlink()
    committed.client.delete_model_version_tag(CANDIDATES, "2", MD5_TAG)
    assert judged(committed)[SECOND] == "its file is unknown"


def test_the_branches_of_a_remote_count_as_they_are_there(committed, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    git("init", "--quiet", "--bare", str(tmp_path / "origin"))
    git("remote", "add", "origin", str(tmp_path / "origin"))
    with pytest.raises(VaelineError, match="git's remote origin does not answer"):
        locked_models()
    git("push", "--quiet", "origin", "main")
    git("clone", "--quiet", "--branch", "main", str(tmp_path / "origin"), str(elsewhere))
    lock(committed, 2)
    (elsewhere / "dvc.lock").write_text((committed.root / "dvc.lock").read_text())
    (committed.root / "dvc.lock").unlink()
    git("switch", "--quiet", "--create", "colleague", cwd=elsewhere)
    git("add", "dvc.lock", cwd=elsewhere)
    git("commit", "--quiet", "--message", "Train", cwd=elsewhere)
    git("push", "--quiet", "origin", "colleague", cwd=elsewhere)
    with pytest.raises(
        VaelineError, match="refs/heads/colleague of git's remote origin was not fetched; run `git fetch"
    ):
        judged(committed)
    git("fetch", "--quiet", "--all")
    assert "colleague" in judged(committed)[SECOND]


def test_without_git_or_with_an_unreadable_lock_nothing_is_judged(vault):
    with pytest.raises(VaelineError, match="there are no git branches here"):
        judged(vault)
    git("init", "--quiet", "--initial-branch", "main")
    (vault.root / "dvc.lock").write_text("<<<<<<< HEAD\nschema: '2.0'\n=======\n")
    git("add", "--force", "dvc.lock")
    git("commit", "--quiet", "--message", "Merge badly")
    with pytest.raises(VaelineError, match=r"^dvc\.lock of refs/heads/main: not a valid dvc\.lock: "):
        judged(vault)


def test_collecting_deletes_versions_and_files_and_leaves_the_rest_as_it_was(committed):
    committed.crown(1)
    commit_lock(committed, 2)
    third = committed.candidate(3)
    gone = list(collect(committed.client, DATASET, NOW))
    assert [(item.uri, item.files) for item in gone] == [(THIRD, True)]
    assert not committed.file(third, "model").exists()
    assert committed.client.get_run(third.run_id).info.lifecycle_stage == "active"
    assert committed.versions(CANDIDATES) == ["1", "2"]
    for version in (committed.served(1), committed.candidate(2)):
        assert load_stored(stored_version(committed.client, version)).latent_dim == 2
    assert check_registry(committed.client, DATASET, timedelta(days=1)) == []
    assert list(collect(committed.client, DATASET, NOW)) == []


def test_files_stay_where_another_version_of_their_run_does(committed):
    """A copy in a model of someone's own, and a champion whose candidate lost the tag that says what it is."""
    committed.crown(1)
    committed.client.copy_model_version(THIRD, "someones-own")
    committed.client.set_model_version_tag(CANDIDATES, "1", DIGEST_TAG, "0" * 64)
    gone = {item.uri: item.files for item in collect(committed.client, DATASET, NOW)}
    assert gone == {FIRST: False, SECOND: True, THIRD: False}
    assert load_stored(stored_version(committed.client, committed.served(1))).latent_dim == 2
    assert committed.file(committed.client.get_model_version("someones-own", "1"), ARCHIVE).is_file()


def test_a_copy_that_lost_the_race_is_garbage_while_its_files_are_needed(committed):
    committed.crown(1)
    committed.client.copy_model_version(FIRST, SERVED)
    gone = {item.uri: item.files for item in collect(committed.client, DATASET, NOW)}
    assert gone == {f"models:/{SERVED}/2": False, SECOND: True, THIRD: True}
    assert committed.champion() == "1"


def test_a_broken_ledger_stops_it(committed):
    committed.crown(1, 2)
    committed.sql("UPDATE params SET value = replace(value, 'tester', 'someone') WHERE key = '000001'")
    with pytest.raises(VaelineError, match="the ledger of vae-digits is broken"):
        list(collect(committed.client, DATASET, NOW))
    assert committed.versions(CANDIDATES) == ["1", "2", "3"]


def test_a_collection_that_broke_off_is_gone_on_with(committed, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(type(committed.client), "delete_model_version", interrupt)
        list(collect(committed.client, DATASET, NOW))
    assert committed.versions(CANDIDATES) == ["1", "2", "3"]
    assert [item.uri for item in collect(committed.client, DATASET, NOW)] == [FIRST, SECOND, THIRD]


def interrupt(*arguments):
    raise KeyboardInterrupt


def test_a_promotion_after_a_collection_needs_the_candidate(committed):
    committed.gate(1)
    candidate = committed.candidate(1)
    list(collect(committed.client, DATASET, NOW))
    with pytest.raises(VaelineError, match=r"has no file model/artifacts/vae\.keras in the store"):
        promote(committed.client, candidate, served_name(DATASET), committed.terms)
