import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline.server import TeamServer, one_of_two
from pipeline.workspace import Workspace, copy_workspace, make_workspace
from shared import made_once
from stores import forget_artifacts

from vaeline.server.folder import Folder
from vaeline.tracking.sqlite import sqlite_uri


@pytest.fixture(autouse=True)
def _own_artifacts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of a workspace have runs of the same ids."""
    forget_artifacts(monkeypatch)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace in which the whole pipeline has run once, on the real digits; tests leave its model as it is.

    One worker runs it for all, and each has a copy.
    """
    name = "repository with a space"  # tests/pipeline/test_machines.py has names that MLflow itself cannot load from

    def make(folder: Path) -> None:
        workspace = make_workspace(folder / name)
        (folder / name / "first-run.log").write_text(workspace.repro())

    first = Workspace(made_once("first", make) / name)
    return copy_workspace(first, tmp_path_factory.mktemp("finished"), name)


@pytest.fixture(scope="session")
def two_runs(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A copy of the finished workspace with a second run: the same network with three latents, not drawn.

    One worker runs it for all, and each has a copy.
    """

    def make(folder: Path) -> None:
        workspace = copy_workspace(finished, folder)
        workspace.change(model__latent_dim=3)
        workspace.repro("evaluate")

    return copy_workspace(Workspace(made_once("two-runs", make) / "copy"), tmp_path_factory.mktemp("two-runs"))


@pytest.fixture(scope="session")
def promoted(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a copy of the finished workspace's store, in which its model is version 1 of `vae-digits`, too."""
    database = tmp_path_factory.mktemp("promoted") / "mlflow.db"
    shutil.copy(finished.root / "mlflow.db", database)
    store = sqlite_uri(database)
    client = finished.client(store)
    (candidate,) = client.search_model_versions()
    client.copy_model_version(f"models:/{candidate.name}/{candidate.version}", "vae-digits")
    return store


@pytest.fixture
def branch_off(finished: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the finished workspace, to change."""
    return copy_workspace(finished, tmp_path)


@pytest.fixture(scope="session")
def team_server() -> Iterator[TeamServer]:
    """A server for the digits, which was first started twice at the same time."""
    with tempfile.TemporaryDirectory(prefix="vaeline-") as scratch:
        Path(scratch).chmod(0o711)  # where we are root, PostgreSQL is run by another user
        workspace = make_workspace(Path(scratch) / "repository", git=False)
        yield from one_of_two(TeamServer(workspace, Folder(Path(scratch) / "server")))
