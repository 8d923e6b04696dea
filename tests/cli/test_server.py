import socket

import pytest
from conftest import ROOT
from typer.testing import CliRunner

from vaeline.cli import app
from vaeline.server import postgres, run


@pytest.fixture
def said(tmp_path, monkeypatch):
    """What `vaeline server ...` says when it fails, in a folder with parameters and nothing else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())

    def invoke(*arguments: str) -> str:
        answer = CliRunner().invoke(app, ["server", *arguments, "--data", "server"], catch_exceptions=False)
        assert answer.exit_code != 0
        return answer.output

    return invoke


def test_a_machine_without_postgresql_is_told_how_to_get_it(said, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path)
    assert said("start", "--port", str(run.free_port())) == (
        "vaeline: PostgreSQL is not installed: apt install postgresql\n"
    )


def test_an_installation_without_the_servers_packages_is_told_so(said, monkeypatch):
    monkeypatch.setattr(run, "EXTRAS", ("psycopg", "no_such_package"))
    assert said("start") == "vaeline: a server needs no_such_package: pip install 'vaeline[server]'\n"


def test_a_port_that_is_taken_is_named(said):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert f"port {port} cannot be used (Address already in use)" in said("start", "--port", str(port))


def test_a_host_that_is_none_is_refused(said):
    assert "must be a host's name" in said("start", "--name", "a.example.org,*")


def test_without_a_server_users_cannot_be_made(said, tmp_path):
    assert "no server was started in" in said("user", "alice", "trainer")
    (tmp_path / "server").mkdir()
    port = run.free_port()
    (tmp_path / "server/address.json").write_text(f'{{"port": {port}, "url": "", "database_port": 1}}')
    assert f"no server answers at http://127.0.0.1:{port}" in said("grant", "mnist")
