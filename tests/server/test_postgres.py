import os
import re
import subprocess
import tempfile
from pathlib import Path

import alembic.command
import psycopg
import pytest
from conftest import ROOT
from forking.programs import forked_python
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from pipeline.server import needs_postgres

from vaeline.errors import VaelineError
from vaeline.server import postgres
from vaeline.server.folder import DATABASE_OWNER, new_password, write_private
from vaeline.server.postgres import ACCOUNTS, TRACKING, create_cluster, find_programs, running_postgres
from vaeline.server.run import free_port, upgrade_store

FIRST_USE = "from vaeline.tracking.store import *; client = open_store(); print(experiment_id(client, 'digits'))"
SCHEMA = "SELECT version_num FROM alembic_version"
PASSWORD = new_password()


@pytest.fixture(scope="module")
def reachable():
    """A folder that everybody can enter: where we are root, PostgreSQL is run by another user."""
    with tempfile.TemporaryDirectory(prefix="vaeline-") as scratch:
        Path(scratch).chmod(0o711)
        yield Path(scratch)


@pytest.fixture(scope="module")
def cluster(reachable):
    create_cluster(find_programs(reachable / "cluster"), reachable / "cluster", PASSWORD)
    return reachable / "cluster"


@pytest.fixture(scope="module")
def database(cluster):
    """Keyword arguments that let the owner into a database that runs."""
    port = free_port()
    with running_postgres(find_programs(cluster), cluster, port, cluster.with_name("log")):
        yield {"host": "127.0.0.1", "port": port, "user": DATABASE_OWNER, "password": PASSWORD, "dbname": TRACKING}


@pytest.fixture
def passfile(tmp_path):
    """The owner's password, for PGPASSFILE."""
    write_private(tmp_path / "pgpass", postgres.passfile_line(PASSWORD))
    return tmp_path / "pgpass"


def ask(question: str, **database: object) -> list[tuple]:
    with psycopg.connect(**database) as connection:
        return connection.execute(question).fetchall()


def make_postgres(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    for program in ("postgres", "initdb"):
        (folder / program).write_text(f'#!/bin/sh\necho "{program} (PostgreSQL) {version}.4 (Debian {version}.4-1)"\n')
        (folder / program).chmod(0o755)
    return folder


@needs_postgres
def test_the_owner_is_let_in_with_the_password_and_nobody_else(database):
    for name in (TRACKING, ACCOUNTS):
        ((user, super_user),) = ask(
            "SELECT rolname, rolsuper FROM pg_roles WHERE rolname = current_user", **database | {"dbname": name}
        )
        assert (user, super_user) == (DATABASE_OWNER, False)
    for wrong in ({"password": "wrong"}, {"password": ""}, {"user": "postgres"}, {"dbname": "postgres"}):
        with pytest.raises(psycopg.OperationalError, match=r"password|no pg_hba\.conf entry"):
            ask("SELECT 1", **database | wrong)


@needs_postgres
def test_the_password_is_kept_as_a_salted_hash_and_not_logged(database, cluster):
    log = cluster.with_name("log").read_text()
    assert "ready to accept connections" in log
    assert PASSWORD not in log
    files = [file for file in cluster.rglob("*") if file.is_file()]
    assert not [file for file in files if PASSWORD.encode() in file.read_bytes()]


@needs_postgres
def test_what_an_older_mlflow_made_is_brought_up_to_date(database, passfile, monkeypatch):
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    uri = postgres.database_uri(database["port"], TRACKING)
    SqlAlchemyStore(uri, "mlflow-artifacts:/")
    newest = ask(SCHEMA, **database)
    alembic.command.downgrade(_get_alembic_config(uri), "-1")
    assert ask(SCHEMA, **database) != newest
    upgrade_store({"PGPASSFILE": str(passfile), "MLFLOW_BACKEND_STORE_URI": uri})
    assert ask(SCHEMA, **database) == newest


@needs_postgres
def test_machines_that_share_a_database_create_the_store_together(database, passfile, tmp_path):
    environment = {
        "PYTHONPATH": str(ROOT / "src"),
        "PATH": "",
        "HOME": str(tmp_path),
        "PGPASSFILE": str(passfile),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": postgres.database_uri(database["port"], ACCOUNTS),
    }
    started = []
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "dvc.yaml").touch()
        command = [forked_python(), "-c", FIRST_USE]
        machine = environment | {"TMPDIR": str(tmp_path / name)}  # where MLflow has a lock of its own
        options = {"cwd": tmp_path / name, "env": machine, "text": True}
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options))
    answers = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], answers
    assert len({said for said, _ in answers}) == 1, "they do not agree on the experiment"


@needs_postgres
@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
def test_root_is_told_of_a_folder_that_postgres_cannot_enter(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o700)
    with pytest.raises(VaelineError, match=r"does not run as root, and the user \w+ cannot enter"):
        create_cluster(find_programs(tmp_path / "none"), tmp_path / "closed/cluster", PASSWORD)


def test_the_newest_is_found_where_debian_keeps_it_and_an_old_cluster_gets_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path / "debian")
    cluster = tmp_path / "cluster"
    with pytest.raises(VaelineError, match="PostgreSQL is not installed: apt install postgresql"):
        find_programs(cluster)
    folders = {version: make_postgres(tmp_path / f"debian/{version}/bin", version) for version in ("9", "15", "17")}
    assert find_programs(cluster) == folders["17"]
    cluster.mkdir()
    (cluster / "PG_VERSION").write_text("15\n")
    assert find_programs(cluster) == folders["15"]
    (cluster / "PG_VERSION").write_text("16\n")
    with pytest.raises(VaelineError, match=re.escape("made by PostgreSQL 16, and only 17, 15, 9 is installed")):
        find_programs(cluster)


def test_the_one_on_the_path_goes_before_debians(tmp_path, monkeypatch):
    make_postgres(tmp_path / "debian/17/bin", "17")
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path / "debian")
    on_path = make_postgres(tmp_path / "opt/bin", "16")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/postgres").symlink_to(on_path / "postgres")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert find_programs(tmp_path / "cluster") == on_path
