"""A store in a folder of any name, and the artifacts of a repository that was moved or copied."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from stores import empty_store, forget_artifacts
from typer.testing import CliRunner

from vaeline.cli import app
from vaeline.tracking.sqlite import sqlite_file, sqlite_uri
from vaeline.tracking.store import experiment_id, open_store, tracking_uri

NAMES = [
    "a b",
    "50%",
    "a%20b",
    "a%2520b",
    "who?",
    "#1",
    "ä ö 數",
    "a;b&c=d",
    "a:b@c",
    "it's",
    'a"b',
    "[x]{y}",
    "-",
    "+",
]


@pytest.fixture
def enter(monkeypatch):
    """Go into a repository, whose store this process has not seen."""

    def into(root: Path) -> None:
        forget_artifacts(monkeypatch)
        for variable in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):  # MLflow sets the first in this process
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.chdir(root)

    return into


@pytest.fixture
def make(enter, tmp_path):
    """Make a repository of this name, with a run that has an artifact and a version; it is the working directory."""

    def made(name: str) -> tuple[Path, str]:
        root = tmp_path / name
        root.mkdir()
        (root / "dvc.yaml").touch()
        shutil.copy(empty_store(), root)
        (root / "note.txt").write_text("kept")
        enter(root)
        client = open_store()
        run = client.create_run(experiment_id(client, "digits"))
        client.log_artifact(run.info.run_id, str(root / "note.txt"), "notes")
        client.create_registered_model("model")
        client.create_model_version("model", f"{run.info.artifact_uri}/notes", run.info.run_id)
        return root, run.info.run_id

    return made


def note(client: MlflowClient, run_id: str, folder: Path) -> Path:
    """Where the artifact lies; it must be readable."""
    folder.mkdir()
    assert Path(client.download_artifacts(run_id, "notes/note.txt", str(folder))).read_text() == "kept"
    return Path(client.get_run(run_id).info.artifact_uri.removeprefix("file://"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("processes")
def test_a_store_works_in_a_folder_of_any_name_and_after_a_move_to_it(make, enter, tmp_path, name):
    root, run_id = make(name)
    assert sqlite_file(tracking_uri()) == root / "mlflow.db"
    assert sorted(path.name for path in tmp_path.iterdir()) == [name], "nothing is beside the repository"
    note(open_store(), run_id, tmp_path / "first")
    moved = tmp_path / f"moved {name}"
    root.rename(moved)
    enter(moved)
    note(open_store(), run_id, tmp_path / "second")
    version = open_store().get_model_version("model", "1")
    place = open_store().get_model_version_download_uri("model", "1")
    assert place == version.source == f"{open_store().get_run(run_id).info.artifact_uri}/notes"


@pytest.mark.usefixtures("processes")
def test_a_copy_uses_its_own_artifacts_and_leaves_those_of_the_original(make, enter, tmp_path):
    root, run_id = make("original")
    shutil.copytree(root, tmp_path / "copy")
    enter(tmp_path / "copy")
    assert note(open_store(), run_id, tmp_path / "a").is_relative_to(tmp_path / "copy")
    enter(root)
    assert note(open_store(), run_id, tmp_path / "b").is_relative_to(root)


@pytest.mark.usefixtures("processes")
def test_a_copied_database_alone_keeps_the_artifacts_that_are_still_there(make, enter, tmp_path):
    root, run_id = make("original")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/dvc.yaml").touch()
    shutil.copy(root / "mlflow.db", tmp_path / "other")
    enter(tmp_path / "other")
    assert note(open_store(), run_id, tmp_path / "a").is_relative_to(root)


@pytest.mark.usefixtures("processes")
def test_places_elsewhere_stay_and_so_does_a_store_that_is_not_the_repositorys(make, enter, tmp_path, monkeypatch):
    root, _ = make("original")
    open_store().create_experiment("vae-elsewhere", str(tmp_path / "original-2/mlruns"))
    (tmp_path / "original-2/mlruns").mkdir(parents=True)
    moved = root.rename(tmp_path / "moved")
    enter(moved)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_uri(shutil.copy(moved / "mlflow.db", tmp_path / "shared.db")))
    assert open_store().get_experiment_by_name("vae-digits").artifact_location == (root / "mlruns/vae-digits").as_uri()
    enter(moved)
    assert open_store().get_experiment_by_name("vae-digits").artifact_location == (moved / "mlruns/vae-digits").as_uri()


@pytest.mark.usefixtures("processes")
def test_the_command_does_it_for_mlflows_own_commands(make, enter, tmp_path):
    root, run_id = make("50% ü")
    moved = root.rename(tmp_path / "#2")
    enter(moved)
    answer = CliRunner().invoke(app, ["track", "relocate"], catch_exceptions=False)
    assert answer.output == f"4 stored places now lead to {moved}\n"
    note(MlflowClient(sqlite_uri(moved / "mlflow.db")), run_id, tmp_path / "a")
    answer = CliRunner().invoke(app, ["track", "relocate"], catch_exceptions=False)
    assert answer.output == "the store is where it was made\n"
