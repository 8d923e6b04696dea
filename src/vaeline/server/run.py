"""Run a server: PostgreSQL, MLflow on top of it, and its users."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager

from filelock import FileLock, Timeout

from vaeline.errors import VaelineError
from vaeline.processes import end_group, require_free
from vaeline.server.accounts import RIGHTS, add_user, admin_of, grant
from vaeline.server.folder import (
    ADMIN,
    LOOPBACK,
    Address,
    Folder,
    new_password,
    read_or_make,
    read_password,
    write_address,
    write_credentials,
    write_private,
)
from vaeline.server.postgres import (
    ACCOUNTS,
    TRACKING,
    create_cluster,
    database_uri,
    find_programs,
    passfile_line,
    running_postgres,
)
from vaeline.server.process import until_stopped, with_death_signal

EXTRAS = ("psycopg", "flask_wtf")
SECONDS_TO_START, SECONDS_TO_STOP = 300, 30
LOCAL = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy for a port of this machine
ACCOUNT_SETTINGS = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = {database}
auth_cache_ttl_seconds = 60
workspace_cache_ttl_seconds = 1
"""


def serve(
    folder: Folder,
    port: int,
    name: str,
    datasets: Sequence[str],
    ready: Callable[[Address], None],
    upgrade: bool = False,
) -> None:
    """Run the server of a folder on 127.0.0.1 until it is stopped. `ready` is called when it answers.

    The first start makes the database, the passwords and the users. Every start gives each role its rights on the data
    sets. `name` is the host name of the TLS proxy; empty if there is none. `upgrade` first upgrades the database of an
    older MLflow.

    Raises:
        VaelineError: the server cannot start, or one of its two processes has ended by itself.
    """
    if missing := [package for package in EXTRAS if importlib.util.find_spec(package) is None]:
        raise VaelineError(f"a server needs {' and '.join(missing)}: pip install 'vaeline[server]'")
    _make_folders(folder)
    with until_stopped(), _only_one(folder):
        require_free(port)
        address = Address(port, f"https://{name}" if name else f"http://{LOOPBACK}:{port}", free_port())
        programs = find_programs(folder.cluster)
        if not folder.cluster.is_dir():
            password = new_password()
            write_private(folder.passfile, passfile_line(password))
            create_cluster(programs, folder.cluster, password)
        log = folder.root / "postgres.log"
        with running_postgres(programs, folder.cluster, address.database_port, log) as database:
            environment = _environment(folder, address)
            if upgrade:
                upgrade_store(environment)
            with _running_mlflow(folder, address, name, environment) as mlflow:
                write_address(folder, address)
                admin = admin_of(folder)
                grant(admin, datasets)
                for role in RIGHTS:
                    add_user(admin, folder, role, [role])
                ready(address)
                _watch({"PostgreSQL": database, "MLflow": mlflow})


def upgrade_store(environment: Mapping[str, str]) -> None:
    """Upgrade the database of an older MLflow. Raises VaelineError."""
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", environment["MLFLOW_BACKEND_STORE_URI"]]
    if subprocess.run(command, env=environment, check=False).returncode:
        raise VaelineError("MLflow could not upgrade its database; its output above has the reason")


def free_port() -> int:
    """A free port of this machine."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return listener.getsockname()[1]


@contextmanager
def _running_mlflow(
    folder: Folder, address: Address, name: str, environment: Mapping[str, str]
) -> Generator[subprocess.Popen]:
    """Run MLflow's server during the block. It writes to the stderr of this process."""
    hosts = [f"{host}:{address.port}" for host in (LOOPBACK, "localhost")] + ([name] if name else [])
    options = {
        "host": LOOPBACK,
        "port": address.port,
        "workers": 1,
        "app-name": "basic-auth",
        "artifacts-destination": folder.artifacts.as_uri(),
        "allowed-hosts": ",".join(hosts),
        "x-frame-options": "DENY",
        "uvicorn-opts": "--no-access-log --log-level warning",  # the access log has no user names; a proxy's log has
    }
    if name:
        options["cors-allowed-origins"] = address.url
    given = [part for option, value in options.items() for part in (f"--{option}", value)]
    command = [sys.executable, "-m", "mlflow", "server", "--serve-artifacts", "--enable-workspaces", *given]
    process = subprocess.Popen(
        with_death_signal(signal.SIGTERM, command), cwd=folder.root, env=environment, start_new_session=True
    )
    try:
        _wait_until_healthy(process, address)
        yield process
    finally:
        end_group(process, SECONDS_TO_STOP, leader_only=True)


def _environment(folder: Folder, address: Address) -> dict[str, str]:
    """MLflow's environment: with the secrets, which must not be on a command line, and without client settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PG"))}
    accounts = folder.root / "accounts.ini"
    accounts.write_text(ACCOUNT_SETTINGS.format(database=database_uri(address.database_port, ACCOUNTS)))
    password = read_password(folder, ADMIN) or new_password()
    write_credentials(folder, ADMIN, password, address)
    return kept | {
        "PGPASSFILE": str(folder.passfile),
        "MLFLOW_BACKEND_STORE_URI": database_uri(address.database_port, TRACKING),
        "MLFLOW_AUTH_CONFIG_PATH": str(accounts),
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": read_or_make(folder.private / "flask_secret"),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PYTHONWARNINGS": "ignore::UserWarning",  # Starlette's, about MLflow's own code
    }


def _wait_until_healthy(process: subprocess.Popen, address: Address) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while process.poll() is None and time.monotonic() < end:
        try:
            with LOCAL.open(f"{address.local}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise VaelineError(
        "MLflow did not start; its output above has the reason. If its database is out of date: make a backup, and "
        "start with --upgrade"
    )


def _watch(processes: Mapping[str, subprocess.Popen]) -> None:
    """Wait until one of the processes ends. Raises VaelineError then."""
    while True:
        for name, process in processes.items():
            if process.poll() is not None:
                raise VaelineError(f"{name} has ended by itself (status {process.returncode}); the server is stopped")
        time.sleep(0.5)


def _make_folders(folder: Folder) -> None:
    if not folder.root.is_dir():
        folder.root.mkdir(parents=True)
        folder.root.chmod(0o711)  # if we are root, the user of PostgreSQL must be able to enter
        (folder.root / ".gitignore").write_text("*\n")
    for inner in (folder.private, folder.artifacts):
        inner.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def _only_one(folder: Folder) -> Generator[None]:
    try:
        with FileLock(folder.root / "lock", timeout=0):
            yield
    except Timeout:
        raise VaelineError(f"a server already runs or starts in {folder.root}; stop it first") from None
