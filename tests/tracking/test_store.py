import errno
import subprocess

import pytest
import requests
from conftest import ROOT
from forking.programs import forked_python
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException, RestException

from vaeline.tracking.sqlite import make_database, sqlite_uri
from vaeline.tracking.store import tracking_uri, ui_address, unreachable

FIRST_USE = "import os; os.umask(0o002); from vaeline.tracking.store import *; experiment_id(open_store(), 'digits')"


@pytest.mark.usefixtures("processes")
def test_the_environment_wins(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert tracking_uri() == "http://127.0.0.1:1"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setenv("DVC_ROOT", str(ROOT))
    assert tracking_uri() == f"sqlite:///{ROOT}/mlflow.db"


def test_a_password_is_not_repeated(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://user:secret@host/db")
    said = str(unreachable(OSError("the request to postgresql://user:secret@host/db failed")))
    assert said == (
        "the tracking store postgresql://host/db cannot be used: the request to postgresql://host/db failed"
    )


def test_a_refusal_names_the_user_and_who_can_help(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://host")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "trainer")
    answer = requests.Response()
    answer.status_code = 403
    for error in (RestException({"error_code": "PERMISSION_DENIED"}), requests.HTTPError(response=answer)):
        assert str(unreachable(error)).startswith("trainer may not do this in the tracking store https://host; its adm")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "/a/.vaeline/store.lock"),
            "not write or read here (/a/.v",
        ),
        (
            MlflowException("(sqlite3.OperationalError) attempt to write a readonly database [SQL: …]"),
            "is read-only; ",
        ),
        (MlflowException("(sqlite3.OperationalError) database or disk is full"), "the disk is full; free some space"),
    ],
)
def test_a_disk_or_a_right_is_named_with_the_way_out(monkeypatch, error, words):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////a/mlflow.db")
    said = str(unreachable(error))
    assert said.startswith("the tracking store sqlite:////a/mlflow.db cannot be used: ")
    assert words in said
    assert said.endswith(", and run the same command again")
    assert "Error" not in said


def test_the_ui_is_at_the_server_or_at_the_local_port(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:secret@host/mlflow/")
    assert ui_address() == "https://host/mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///here.db")
    assert ui_address() == "http://127.0.0.1:5000"


@pytest.mark.usefixtures("processes")
def test_three_processes_at_once_create_one_store(tmp_path):
    (tmp_path / "dvc.yaml").touch()
    environment = {
        "PYTHONPATH": str(ROOT / "src"),
        "PATH": "",
        "HOME": str(tmp_path),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [forked_python(), "-c", FIRST_USE]
    started = [
        subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for process in started:
        _, error = process.communicate(timeout=600)
        assert process.returncode == 0, error
    assert (tmp_path / "mlflow.db").stat().st_mode & 0o777 == 0o664, "users of one group share it"


def test_a_store_whose_making_was_stopped_is_made_by_the_next_one(tmp_path, monkeypatch):
    class Stopped(BaseException): ...

    def stop(*_):
        raise Stopped

    file = tmp_path / "mlflow.db"
    with monkeypatch.context() as stopped:
        stopped.setattr("mlflow.store.db.utils._upgrade_db", stop)  # the first tables are there
        with pytest.raises(Stopped):
            make_database(file)
    make_database(file)
    assert MlflowClient(sqlite_uri(file)).search_experiments()
    assert list(tmp_path.iterdir()) == [file]
