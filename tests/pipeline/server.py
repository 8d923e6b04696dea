"""A team's server in a temporary folder, started and stopped as a user would do it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from pipeline.workspace import Workspace
from typer.testing import CliRunner

from vaeline.cli import app
from vaeline.errors import VaelineError
from vaeline.server.folder import Folder
from vaeline.server.postgres import find_programs

READY = "MLflow is on "
NAME = "mlflow.example.org"


def _has_postgres() -> bool:
    try:
        return find_programs(Path("no cluster")).is_dir()
    except VaelineError:
        return False


needs_postgres = pytest.mark.skipif(not _has_postgres(), reason="no PostgreSQL: `make postgres` installs one")


@dataclass
class TeamServer:
    """A server of the workspace's data set, on a folder of its own."""

    workspace: Workspace
    folder: Folder
    starts: list["Start"] = field(default_factory=list)

    def begin(self, port: int = 0) -> "Start":
        """Start it, without waiting; on a free port, if none is named."""
        log = self.folder.root.with_name(f"start-{len(self.starts)}.log")
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            port = listener.getsockname()[1]
        options = ["--data", self.folder.root, "--port", port, "--name", NAME]
        command = [sys.executable, "-m", "vaeline.cli", "server", "start", *options]
        with log.open("w") as output:
            process = subprocess.Popen(
                list(map(str, command)),
                cwd=self.workspace.root,
                env=self.workspace.environment(),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.starts.append(Start(process, port, log))
        return self.starts[-1]

    @property
    def serving(self) -> "Start":
        """The start that serves now, or did so last."""
        return next(start for start in reversed(self.starts) if start.is_ready())

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.serving.port}"

    def environment(self, user: str) -> dict[str, str]:
        """What the user's file holds, with the address without the proxy; for `nobody`, that alone."""
        lines = [] if user == "nobody" else self.folder.credentials(user).read_text().splitlines()
        return dict(line.split("=", 1) for line in lines) | {"MLFLOW_TRACKING_URI": self.url}

    def command(self, *arguments: str) -> str:
        """What `vaeline server ...` on its folder says."""
        command = ["server", *arguments, "--data", str(self.folder.root)]
        return CliRunner().invoke(app, command, catch_exceptions=False).output


@dataclass(frozen=True)
class Start:
    """One start of a server."""

    process: subprocess.Popen
    port: int
    log: Path

    def is_ready(self) -> bool:
        """Whether it has said that it serves."""
        return READY in self.log.read_text()

    def family(self) -> list[psutil.Process]:
        """Its process and all that come from it."""
        leader = psutil.Process(self.process.pid)
        return [leader, *leader.children(recursive=True)]

    def wait_until_ready(self) -> None:
        """Wait until it serves."""
        while not self.is_ready():
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)

    def end(self, signal_number: int = signal.SIGTERM) -> int:
        """Send a signal to its leader alone, wait until all of its processes are gone, and return its status."""
        family = self.family() if self.process.poll() is None else []
        os.kill(self.process.pid, signal_number)
        self.process.wait(120)
        _, alive = psutil.wait_procs(family, timeout=120)
        assert not alive, f"left behind: {alive}"
        return self.process.returncode


@contextmanager
def acting_as(server: TeamServer, user: str) -> Iterator[None]:
    """MLflow's clients in this process are those of a user while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
            patch.delenv(name, raising=False)
        for name, value in server.environment(user).items():
            patch.setenv(name, value)
        yield


def one_of_two(server: TeamServer) -> Iterator[TeamServer]:
    """Start a new server twice at once, and end the one that serves in the end."""
    started = [server.begin(), server.begin()]
    try:
        while not any(start.is_ready() for start in started):
            assert any(start.process.poll() is None for start in started), started[0].log.read_text()
            time.sleep(0.1)
        yield server
        assert server.serving.end() == 0
    finally:
        for start in server.starts:
            if start.process.poll() is None:
                start.end(signal.SIGKILL)
