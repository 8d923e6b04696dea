"""The server's PostgreSQL: made on first use, and run only on loopback, by an ordinary user."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from vaeline.errors import VaelineError
from vaeline.processes import end_group
from vaeline.server.folder import DATABASE_OWNER, LOOPBACK
from vaeline.server.process import with_death_signal

DEBIAN = Path("/usr/lib/postgresql")
STAND_INS = ("postgres", "nobody")  # the users who run PostgreSQL if we are root, because it refuses to run as root
TRACKING, ACCOUNTS = "mlflow", "mlflow_accounts"
ACCESS = f"host {TRACKING},{ACCOUNTS} {DATABASE_OWNER} {LOOPBACK}/32 scram-sha-256\n"
SECONDS_TO_START, SECONDS_TO_STOP = 120, 60


def database_uri(port: int, database: str) -> str:
    """The SQLAlchemy URI of a database. The password comes from the file in PGPASSFILE."""
    return f"postgresql+psycopg://{DATABASE_OWNER}@{LOOPBACK}:{port}/{database}"


def passfile_line(password: str) -> str:
    """The content of a file for PGPASSFILE."""
    return f"{LOOPBACK}:*:*:{DATABASE_OWNER}:{password}\n"


def find_programs(cluster: Path) -> Path:
    """The program folder of the PostgreSQL that made this cluster. For a new cluster: PATH, or Debian's newest version.

    Raises:
        VaelineError: PostgreSQL is missing, or the version of the cluster is missing.
    """
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(DEBIAN.glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    found: dict[str, Path] = {}
    for folder in folders:
        if (folder / "initdb").is_file():
            found.setdefault(_major_version(folder), folder)
    if not found:
        raise VaelineError("PostgreSQL is not installed: apt install postgresql")
    if not cluster.is_dir():
        return next(iter(found.values()))
    version = (cluster / "PG_VERSION").read_text().strip()
    if version not in found:
        raise VaelineError(
            f"{cluster} was made by PostgreSQL {version}, and only {', '.join(found)} is installed: "
            f"apt install postgresql-{version}, or move the data as docs/server.md describes"
        )
    return found[version]


def create_cluster(programs: Path, cluster: Path, password: str) -> None:
    """Make a cluster. One role with a password owns two databases, and no other role can log in.

    The cluster gets its final name only when it is complete. Raises VaelineError.
    """
    making = cluster.with_name(f"{cluster.name}.new")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    if user := _stand_in():
        os.chown(making, user.pw_uid, user.pw_gid)
        _require_reach(making, user)
    options = ["--username=postgres", "--auth=reject", "--encoding=UTF8", "--no-locale", "--data-checksums"]
    _run(making, [programs / "initdb", "--pgdata=.", *options])
    (making / "pg_hba.conf").write_text(ACCESS)
    statements = [f"CREATE ROLE {DATABASE_OWNER} LOGIN PASSWORD '{password}'"]
    statements += [f"CREATE DATABASE {name} OWNER {DATABASE_OWNER}" for name in (TRACKING, ACCOUNTS)]
    single = [programs / "postgres", "--single", "-j", "-c", "exit_on_error=on", "-D", ".", "postgres"]
    _run(making, single, "".join(f"{statement};\n\n" for statement in statements))
    making.rename(cluster)


@contextmanager
def running_postgres(programs: Path, cluster: Path, port: int, log: Path) -> Generator[subprocess.Popen]:
    """Run PostgreSQL on 127.0.0.1 during the block, with its output in `log`. Raises VaelineError."""
    _end_orphan(cluster)
    options = ["-c", f"listen_addresses={LOOPBACK}", "-c", "unix_socket_directories="]
    with log.open("a") as output:
        process = subprocess.Popen(
            with_death_signal(signal.SIGINT, [programs / "postgres", "-D", cluster, "-p", port, *options]),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=cluster,
            **_as_ordinary_user(),
        )
    try:
        _wait_until_ready(process, programs, port, log)
        yield process
    finally:
        end_group(process, SECONDS_TO_STOP, signal.SIGINT, leader_only=True)


def _end_orphan(cluster: Path) -> None:
    """End a PostgreSQL that still runs after its server was killed."""
    with suppress(FileNotFoundError, psutil.NoSuchProcess):
        orphan = psutil.Process(int((cluster / "postmaster.pid").read_text().split()[0]))
        if orphan.name() == "postgres" and Path(orphan.cwd()) == cluster.resolve():  # else the pid was reused
            orphan.send_signal(signal.SIGINT)
            orphan.wait(SECONDS_TO_STOP)


def _wait_until_ready(process: subprocess.Popen, programs: Path, port: int, log: Path) -> None:
    question = [programs / "pg_isready", "--quiet", f"--host={LOOPBACK}", f"--port={port}"]
    end = time.monotonic() + SECONDS_TO_START
    while process.poll() is None and time.monotonic() < end:
        if subprocess.run(question, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise VaelineError(f"PostgreSQL did not start; the end of {log} has the reason")


def _run(folder: Path, command: Sequence[str | Path], text: str = "") -> None:
    done = subprocess.run(
        command, cwd=folder, input=text, capture_output=True, text=True, check=False, **_as_ordinary_user()
    )
    if done.returncode:
        complaints = re.findall(r"(?:error|fatal): *(.*)", done.stderr, re.IGNORECASE)
        raise VaelineError(f"{Path(command[0]).name}: {complaints[0] if complaints else f'status {done.returncode}'}")


def _major_version(programs: Path) -> str:
    output = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\d+", output)[0]


def _stand_in() -> pwd.struct_passwd | None:
    """The user who runs PostgreSQL if we are root; None if we are not."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in STAND_INS if name in known)


def _as_ordinary_user() -> dict[str, Any]:
    user = _stand_in()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}


def _require_reach(folder: Path, user: pwd.struct_passwd) -> None:
    if subprocess.run(["test", "-x", folder], check=False, **_as_ordinary_user()).returncode:
        raise VaelineError(
            f"PostgreSQL does not run as root, and the user {user.pw_name} cannot enter {folder.parent}: run as an "
            "ordinary user, or name a folder that everybody can enter, such as --data /var/lib/vaeline"
        )
