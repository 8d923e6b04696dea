import getpass
import subprocess

import pytest

from vaeline.tracking.origin import who


@pytest.fixture(autouse=True)
def _nobody(tmp_path, monkeypatch):
    """A repository whose git knows no one, and an environment that says nothing."""
    for variable in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_URI", "GITHUB_ACTOR"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(variable, "/dev/null")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)


@pytest.mark.usefixtures("processes")
def test_who_is_who_the_server_knows_and_else_who_is_nearest(tmp_path, monkeypatch):
    assert who() == getpass.getuser()
    subprocess.run(["git", "config", "user.name", "Ann"], check=True)
    assert who() == "Ann"
    subprocess.run(["git", "config", "user.email", "ann@example.org"], check=True)
    assert who() == "Ann <ann@example.org>"
    monkeypatch.setenv("GITHUB_ACTOR", "ann-of-github")
    assert who() == "ann-of-github"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://promoter:secret@mlflow.example:5000")
    assert who() == "promoter"
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow/credentials").write_text("[mlflow]\nmlflow_tracking_username = filed\n")
    assert who() == "filed"
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "named")
    assert who() == "named"
