import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from mlflow import MlflowClient
from mlflow.entities import Run
from shared import made_once
from stores import empty_store
from tracking.project import Project, copy_with_store, enter, make_project
from typer.testing import CliRunner

from vaeline.cli import app
from vaeline.pyfunc.contents import write_list
from vaeline.tracking.restore import restore_runs
from vaeline.tracking.runs import FILES_TAG, every_run, set_tags
from vaeline.tracking.store import open_store

CANDIDATES, SERVED = "vae-digits-candidates", "vae-digits"


@pytest.fixture(scope="session")
def trained_project(processes: None) -> Path:
    """Two trainings, each in a commit of its own and registered; the first is the champion. Not to be changed."""

    def make(folder: Path) -> None:
        project = make_project(folder / "project")
        shutil.copy(empty_store(), project.root)
        with pytest.MonkeyPatch.context() as monkeypatch:
            enter(project.root, monkeypatch)
            for seed in (1, 2):
                project.record(f"Train {seed}", seed=seed, loss=100.0 + seed)
            register_all(open_store())

    return made_once("trained-project", make) / "project"


def register_all(client: MlflowClient) -> None:
    """Restore the runs of all commits, register their models as candidates, and make the first the champion."""
    restore_runs(client)
    client.create_registered_model(CANDIDATES)
    for trained in sorted(every_run(client), key=lambda run: run.data.params["train.seed"]):
        folder = Path(trained.info.artifact_uri.removeprefix("file://")) / "model"
        set_tags(client, trained.info.run_id, {FILES_TAG: write_list(folder)})
        run = client.get_run(trained.info.run_id)
        own = {tag: value for tag, value in run.data.tags.items() if tag.startswith(("vaeline.", "mlflow.source"))}
        client.create_model_version(CANDIDATES, f"{run.info.artifact_uri}/model", run.info.run_id, tags=own)
    client.copy_model_version(f"models:/{CANDIDATES}/1", SERVED)
    client.set_registered_model_alias(SERVED, "champion", "1")


@pytest.fixture
def project(trained_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of the trained project, to change; it is the current folder."""
    root = copy_with_store(trained_project, tmp_path / "project")
    enter(root, monkeypatch)
    return Project(root)


@pytest.fixture
def client(project: Project) -> MlflowClient:
    """A client of the copy's store."""
    return open_store()


@pytest.fixture
def two_models(client: MlflowClient) -> dict[int, Run]:
    """The runs by their seed."""
    return {int(run.data.params["train.seed"]): run for run in every_run(client)}


@pytest.fixture
def vaeline(project: Project) -> Callable[..., Result]:
    """Run `vaeline` in the project; an exception that is no exit fails the test."""
    return lambda *arguments: CliRunner().invoke(app, [str(part) for part in arguments], catch_exceptions=False)
