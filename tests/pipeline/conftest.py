from pathlib import Path

import pytest
from pipeline.workspace import Workspace, make_workspace


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace in which the whole pipeline has run once, on the real digits; tests leave its model as it is."""
    workspace = make_workspace(tmp_path_factory.mktemp("finished") / "repository with a space")
    output = workspace.repro()
    (workspace.root / "first-run.log").write_text(output)
    return workspace


@pytest.fixture
def branch_off(finished: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the finished workspace, to change."""
    finished.run("cp", "-a", str(finished.root), str(tmp_path / "copy"))
    return Workspace(tmp_path / "copy")
