"""What is loaded from the store is what was registered: every file of it, the code and the environment, too."""

from datetime import timedelta

import pytest
from mlflow.exceptions import MlflowException
from registry.vault import CANDIDATES, DATASET, SERVED

from vaeline.errors import VaelineError
from vaeline.registry.candidates import register_candidate
from vaeline.registry.health import check_registry
from vaeline.registry.promotion import promote
from vaeline.registry.resolve import resolve_model
from vaeline.registry.stored import REFERENCE, load_stored, stored_version, try_stored
from vaeline.serving.resolved import resolve
from vaeline.tracking.runs import FILE_TAG, FILES_TAG, set_tags

YEAR = timedelta(days=365)
LOADED = ["MLmodel", "requirements.txt", "python_env.yaml", "code/vaeline/errors.py", "golden.json"]


@pytest.mark.parametrize("path", LOADED)
def test_a_version_with_a_changed_file_is_neither_loaded_nor_served_nor_promoted(crowned, path):
    file = crowned.file(crowned.candidate(2), f"model/{path}")
    file.write_text(file.read_text() + " ")
    found = rf"^models:/{CANDIDATES}/2: {path} was changed since it was registered"
    for load in (
        lambda: load_stored(stored_version(crowned.client, crowned.candidate(2))),
        lambda: try_stored(stored_version(crowned.client, crowned.candidate(2))),
        lambda: resolve_model(f"models:/{CANDIDATES}/2"),
        lambda: resolve(f"models:/{CANDIDATES}/2").load(),
        lambda: promote(crowned.client, crowned.candidate(2), SERVED, crowned.terms),
    ):
        with pytest.raises(VaelineError, match=found):
            load()
    with pytest.raises(VaelineError, match=rf"^the run seed 2: {path} was changed"):
        resolve_model("seed 2")
    assert crowned.champion() == "1"
    errors = [item for item in check_registry(crowned.client, DATASET, YEAR) if item.level == "error"]
    assert [item.where for item in errors] == [f"models:/{CANDIDATES}/2"]
    assert f"{path} was changed" in errors[0].what


def test_a_file_that_was_added_is_found(vault):
    (vault.file(vault.candidate(1), "model/code") / "sitecustomize.py").write_text("import os")
    with pytest.raises(VaelineError, match=r"code/sitecustomize\.py was added"):
        load_stored(stored_version(vault.client, vault.candidate(1)))


def test_a_version_of_an_earlier_vaeline_is_loaded_and_named(vault):
    run_id = vault.candidate(1).run_id
    vault.client.delete_model_version_tag(CANDIDATES, "1", FILES_TAG)
    assert any(FILES_TAG in item.what for item in check_registry(vault.client, DATASET, YEAR)), "its run has the tag"
    vault.client.delete_tag(run_id, FILES_TAG)
    vault.file(vault.candidate(1), "model/files.sha256").unlink()
    assert load_stored(stored_version(vault.client, vault.candidate(1))).latent_dim == 2
    (warning,) = check_registry(vault.client, DATASET, YEAR)
    assert warning.level == "warning"
    assert "its code and environment have none" in warning.what


def test_what_a_command_loads_with_the_model_is_checked_too(vault, tmp_path):
    version = vault.candidate(1)
    (tmp_path / "latent_reference.json").write_text("{}")
    vault.client.log_artifact(version.run_id, str(tmp_path / "latent_reference.json"), "evaluation")
    set_tags(vault.client, version.run_id, {f"{FILE_TAG}{REFERENCE}": "0" * 64})
    with pytest.raises(
        VaelineError, match=rf"^{REFERENCE} of models:/{CANDIDATES}/1 was changed; `vaeline track sync`"
    ):
        stored_version(vault.client, version).read_reference()


def test_registering_again_leaves_the_files_of_a_served_copy_as_they_are(crowned):
    version = crowned.candidate(1)
    before = crowned.file(version, "model/MLmodel").read_text()
    crowned.client.delete_model_version(CANDIDATES, "1")
    run = crowned.client.get_run(version.run_id)
    again = register_candidate(crowned.client, run, crowned.root / "seed-1/vae.keras", CANDIDATES)
    assert crowned.file(version, "model/MLmodel").read_text() == before
    assert again.tags[FILES_TAG] == crowned.served(1).tags[FILES_TAG]
    assert load_stored(stored_version(crowned.client, crowned.served(1))).latent_dim == 2


def test_what_a_killed_registration_left_does_not_stay(vault, monkeypatch):
    version = vault.candidate(1)
    vault.client.delete_model_version(CANDIDATES, "1")
    (vault.file(version, "model/code/vaeline") / "of_an_older_vaeline.py").write_text("")
    run = vault.client.get_run(version.run_id)
    with monkeypatch.context() as patch, pytest.raises(MlflowException):
        patch.setattr(vault.client, "create_model_version", fail)
        register_candidate(vault.client, run, vault.root / "seed-1/vae.keras", CANDIDATES)
    again = register_candidate(vault.client, run, vault.root / "seed-1/vae.keras", CANDIDATES)
    assert load_stored(stored_version(vault.client, again)).latent_dim == 2


def fail(*arguments, **options):
    raise MlflowException("killed")
