import time
from datetime import timedelta

import pytest
from registry.vault import CANDIDATES, DATASET, SERVED

from vaeline.registry.health import check_registry
from vaeline.registry.rollback import roll_back
from vaeline.registry.versions import ARCHIVE
from vaeline.tracking.runs import DIGEST_TAG

YEAR = timedelta(days=365)


def look(vault):
    return [(item.level, item.where, item.what) for item in check_registry(vault.client, DATASET, YEAR)]


def test_a_registry_in_order_has_no_findings(succeeded, monkeypatch):
    succeeded.crown(3)
    monkeypatch.setattr("vaeline.registry.rollback.try_stored", lambda stored: None)
    roll_back(succeeded.client, SERVED, "a reason", "1")
    roll_back(succeeded.client, SERVED, "a reason", "3")
    succeeded.gate(2)
    succeeded.crown(2)
    succeeded.gate(1, "inconclusive")
    assert look(succeeded) == []


def test_a_registry_without_champions_is_in_order(vault):
    assert look(vault) == []


def alias_at_nothing(vault):
    vault.sql("INSERT INTO registered_model_aliases (name, alias, version) VALUES (?, 'best', 9)", CANDIDATES)


def champion_deleted(vault):
    vault.client.delete_model_version(SERVED, "2")


def champion_moved(vault):
    vault.client.set_registered_model_alias(SERVED, "champion", "1")


def champion_without_ledger(vault):
    vault.client.rename_experiment(vault.client.get_experiment_by_name(f"{SERVED}-ledger").experiment_id, "old")


def unfinished(vault):
    run = vault.client.get_experiment_by_name(f"{SERVED}-ledger").tags["vaeline.ledger_run"]
    vault.client.delete_tag(run, "done.000002")


def archive_lost(vault):
    vault.file(vault.candidate(3), ARCHIVE).unlink()


def archive_changed(vault):
    file = vault.file(vault.candidate(3), ARCHIVE)
    file.write_bytes(file.read_bytes() + b"!")


def run_in_trash(vault):
    vault.client.delete_run(vault.served(2).run_id)


def run_gone(vault):
    for table in ("tags", "params", "runs"):
        vault.sql(f"DELETE FROM {table} WHERE run_uuid = ?", vault.candidate(3).run_id)


def served_from_elsewhere(vault):
    vault.sql("UPDATE model_versions SET storage_location = '/elsewhere' WHERE name = ? AND version = 2", SERVED)


def retag(name, number, key, value):
    def change(vault):
        vault.client.set_model_version_tag(name, number, key, value)

    change.__name__ = f"{name} {key}"
    return change


def forge_promotion(vault):
    vault.client.copy_model_version(f"models:/{CANDIDATES}/3", SERVED)
    vault.client.set_model_version_tag(SERVED, "3", "vaeline.promoted_by", "nobody")


def change_report(vault):
    file = vault.file(vault.candidate(2), "gate/gate.json")
    file.write_text(file.read_text().replace("pass", "fail"))


def change_ledger(vault):
    vault.sql("UPDATE params SET value = replace(value, 'tester', 'someone') WHERE key = '000001'")


def change_last_entry(vault):
    vault.sql("UPDATE params SET value = replace(value, 'tester', 'someone') WHERE key = '000002'")


SECOND, CHAMPION = f"models:/{SERVED}/2", f"{SERVED}@champion"
THIRD = f"models:/{CANDIDATES}/3"


@pytest.mark.parametrize(
    ("spoil", "level", "where", "what"),
    [
        (alias_at_nothing, "error", f"{CANDIDATES}@best", "points at version 9, which was deleted"),
        (champion_deleted, "error", CHAMPION, "version 2, the champion in the ledger, was deleted"),
        (champion_moved, "error", CHAMPION, "is version 1, but the ledger says version 2"),
        (champion_without_ledger, "error", CHAMPION, "is version 2, but no entry of a ledger made it champion"),
        (unfinished, "warning", CHAMPION, "entry 2 (promote to version 2) was not finished"),
        (archive_lost, "error", THIRD, f"has no file {ARCHIVE} in the store"),
        (archive_changed, "error", THIRD, "the file was changed"),
        (run_in_trash, "error", SECOND, "its run is in MLflow's trash, and `mlflow gc` would delete the model's files"),
        (run_gone, "error", THIRD, "its run and its files were deleted"),
        (served_from_elsewhere, "error", SECOND, "MLflow serves it from /elsewhere"),
        (retag(SERVED, "2", DIGEST_TAG, "0" * 64), "error", SECOND, f"the tag {DIGEST_TAG} is '000"),
        (
            retag(SERVED, "2", "vaeline.promoted_by", "me"),
            "error",
            SECOND,
            "promoted_by is 'me', but the ledger",
        ),
        (retag(SERVED, "2", "vaeline.rollback_reason", "-"), "error", SECOND, "but the ledger knows none"),
        (retag(SERVED, "2", "vaeline.gate_sha256", "8" * 64), "error", SECOND, "but the ledger says"),
        (retag(SERVED, "2", "test.nll", "1.0"), "error", SECOND, f"test.nll is '1.0', but models:/{CANDIDATES}/2 "),
        (retag(CANDIDATES, "3", "seed", "4"), "error", THIRD, "the tag seed is '4', but its run"),
        (retag(CANDIDATES, "3", "vaeline.outs.models/vae.keras", "0"), "error", THIRD, "is '0', but its file says"),
        (
            retag(CANDIDATES, "2", "vaeline.gate_verdict", "fail"),
            "error",
            f"models:/{CANDIDATES}/2",
            "its gate report",
        ),
        (forge_promotion, "error", f"models:/{SERVED}/3", "promoted_by is 'nobody', but the ledger knows none"),
        (change_report, "error", f"models:/{CANDIDATES}/2", "differs from the tag vaeline.gate_sha256"),
        (change_ledger, "error", f"ledger of {SERVED}", "entry 1 does not have the digest that entry 2 records"),
        (change_last_entry, "error", f"ledger of {SERVED}", "entry 2 is not the one that was carried out"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_wrong_is_found_where_it_is(succeeded, spoil, level, where, what):
    spoil(succeeded)
    found = look(succeeded)
    assert any((level, where) == item[:2] and what in item[2] for item in found), found


def test_what_is_found_says_what_to_do(succeeded):
    champion_moved(succeeded)
    run_in_trash(succeeded)
    remedies = [item.remedy for item in check_registry(succeeded.client, DATASET, YEAR)]
    assert "`vaeline rollback --to 2 --reason ...` puts it back, or name another earlier champion" in remedies
    assert f"`mlflow runs restore --run-id {succeeded.served(2).run_id}`" in remedies


def test_a_candidate_that_nobody_gated_is_stale_after_a_while(vault):
    vault.gate(1)
    time.sleep(0.01)
    found = check_registry(vault.client, DATASET, timedelta(0))
    assert [(item.level, item.where) for item in found] == [
        ("warning", f"models:/{CANDIDATES}/{number}") for number in ("2", "3")
    ]
    assert "never gated" in found[0].what
