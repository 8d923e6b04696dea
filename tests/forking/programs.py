"""The folder of programs that lets a test's commands run as forks of one process; see `server.py`."""

import functools
import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

FORKED = ("python", "python3", "dvc", "vaeline")
SHARED, OWNER = "VAELINE_TESTS_FOLDER", "VAELINE_TESTS_PID"
HERE = Path(__file__).parent
REAL = Path(sys.executable).parent
CAN_FORK = hasattr(os, "pidfd_open")


def shared_folder() -> Path:
    """A folder of this run of pytest that all its workers share."""
    return Path(os.environ[SHARED])


@functools.cache
def forked_programs() -> Path:
    """The environment's programs, of which `python`, `dvc` and `vaeline` run as forks.

    The first call starts the server. A system without `pidfd_open`, which Linux has, gets the programs themselves.
    """
    if not CAN_FORK:
        return REAL
    folder = shared_folder() / "fork server"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            (folder / "bin").mkdir(parents=True)
            _start(folder)
            _write_programs(folder)
    assert (folder / "bin/python").exists(), "another worker could not start the fork server"
    return folder / "bin"


def _start(folder: Path) -> None:
    """Start the server and wait until it answers; it ends when this run of pytest does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "DVC_", "PYTHON"))}
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "TF_CPP_MIN_LOG_LEVEL": "2", "MPLBACKEND": "agg"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", HERE / "server.py", folder / "socket", os.environ[OWNER]],
            cwd=folder,
            env=kept | quiet,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    said = process.stdout.readline()
    assert said == b"ready\n", (folder / "server.log").read_text()


def _write_programs(folder: Path) -> None:
    command = f'"{sys.executable}" -I -S "{HERE / "client.py"}" "{sys.executable}" "{folder / "socket"}"'
    for program in REAL.iterdir():
        if program.name not in FORKED:
            (folder / "bin" / program.name).symlink_to(program)
    for name in FORKED:
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {command} "$0" "$@"\n')
        program.chmod(0o755)
