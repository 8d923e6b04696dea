import socket
import subprocess

import pytest
from typer.testing import CliRunner

from vaeline.cli import app


def test_the_ui_refuses_a_port_that_is_taken(tmp_path, monkeypatch):
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: pytest.fail("a server was started"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = CliRunner().invoke(app, ["track", "ui", "--port", str(port)], catch_exceptions=False)
    assert answer.exit_code == 1
    assert (
        answer.output == f"vaeline: port {port} cannot be used (Address already in use); choose another with --port\n"
    )
    assert not (tmp_path / "mlflow.db").exists()
