"""The folder of programs that lets a test's commands run as forks of one process; see `server.py`."""

import functools
import os
import subprocess
import sys
from pathlib import Path

from shared import OWNER, made_once

FORKED = ("python", "python3", "dvc", "uvicorn", "vaeline")
HERE = Path(__file__).parent
REAL = Path(sys.executable).parent
CAN_FORK = hasattr(os, "pidfd_open")


@functools.cache
def forked_programs() -> Path:
    """The environment's programs, of which `python`, `dvc`, `uvicorn` and `vaeline` run as forks.

    The first call starts the server. A system without `pidfd_open`, which Linux has, gets the programs themselves.
    """
    if not CAN_FORK:
        return REAL
    return made_once("fork-server", _start) / "bin"


def forked_python() -> str:
    """The Python that runs as a fork: for several processes of vaeline, where starting Python is not the test."""
    return str(forked_programs() / "python")


def _start(folder: Path) -> None:
    """Start the server, which ends when this run of pytest does, wait until it answers, and write the programs."""
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
    (folder / "bin").mkdir()
    command = f'"{sys.executable}" -I -S "{HERE / "client.py"}" "{sys.executable}" "{folder / "socket"}"'
    for program in REAL.iterdir():
        if program.name not in FORKED:
            (folder / "bin" / program.name).symlink_to(program)
    for name in FORKED:
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {command} "$0" "$@"\n')
        program.chmod(0o755)
