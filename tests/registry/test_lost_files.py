import shutil
from datetime import timedelta

import pytest
from registry.vault import CANDIDATES, DATASET

from vaeline.registry.health import check_registry
from vaeline.registry.lost_files import restore_files
from vaeline.registry.versions import FOLDER
from vaeline.tracking.runs import FILES_TAG


@pytest.fixture
def robbed(succeeded, greys, monkeypatch):
    """A registry whose champion has lost its files; its archive is on disk, as DVC keeps it."""
    monkeypatch.setattr("vaeline.registry.lost_files._golden_images", lambda md5, folder: greys[:4])
    shutil.rmtree(succeeded.file(succeeded.candidate(2), FOLDER))
    (succeeded.root / "models").mkdir()
    shutil.copy(succeeded.root / "seed-2/vae.keras", succeeded.root / "models")
    return succeeded


def test_a_champion_and_its_candidate_get_their_files_back_and_the_same_digest(robbed):
    (finding, _) = check_registry(robbed.client, DATASET, timedelta(days=365))
    assert finding.remedy.startswith("`vaeline registry restore`")
    before = robbed.served(2).tags[FILES_TAG]
    assert [(item.uri, item.problem) for item in restore_files(robbed.client, DATASET)] == [
        (f"models:/{CANDIDATES}/2", "")
    ]
    assert check_registry(robbed.client, DATASET, timedelta(days=365)) == []
    assert before != robbed.served(2).tags[FILES_TAG] == robbed.candidate(2).tags[FILES_TAG]
    assert robbed.candidate(1).tags[FILES_TAG] == robbed.served(1).tags[FILES_TAG]


def test_another_archive_is_not_taken(robbed):
    (robbed.root / "models/vae.keras").write_bytes(b"another")
    found = restore_files(robbed.client, DATASET)
    assert len(found) == 2
    assert {item.problem.partition(";")[0] for item in found} == {"neither this folder nor DVC's cache has its archive"}


def test_files_of_a_run_in_the_trash_are_left_alone(robbed):
    robbed.client.delete_run(robbed.candidate(2).run_id)
    assert {item.problem.partition(";")[0] for item in restore_files(robbed.client, DATASET)} == {"its run was deleted"}
