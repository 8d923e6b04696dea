"""Start servers, and send them requests from several clients."""

import http.client
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PATIENCE = 300.0
JSON = {"Content-Type": "application/json"}
NO_HEADERS: Mapping[str, str] = {}
PYTHON = (sys.executable, "-m")


@dataclass(frozen=True)
class Answer:
    """The response to one request, and its seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


@dataclass(frozen=True)
class Pace:
    """Requests a second, and the 50th and 99th percentile of their milliseconds."""

    rate: float
    p50: float
    p99: float


class Client:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and wait for the response; raises if it fails."""
        began = time.perf_counter()
        self._connection.request(method, path, body, dict(headers or {}))
        response = self._connection.getresponse()
        content = response.read()
        return Answer(response.status, response.headers, content, time.perf_counter() - began)


def free_port() -> int:
    """A free port of this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def running(
    command: list[str], healthy: str, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen]:
    """Run a server; the block starts when `healthy` answers, and the server stops when the block ends."""
    with log.open("w") as output:
        process = subprocess.Popen([*PYTHON, *command], stdout=output, stderr=output, env=environment)
    try:
        _wait(process, healthy, log)
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def press(port: int, path: str, body: bytes, clients: int, seconds: float) -> Pace:
    """Send requests for `seconds` from `clients` connections, one at a time each; return the pace of the answers."""
    times: list[list[float]] = [[] for _ in range(clients)]
    began = time.perf_counter()

    def hand(own: list[float]) -> None:
        client = Client(port)
        while time.perf_counter() - began < seconds:
            answer = client.ask("POST", path, body, JSON)
            if answer.status != 200:
                raise RuntimeError(f"{path}: status {answer.status}: {answer.body[:200]!r}")
            own.append(answer.seconds)

    hands = [threading.Thread(target=hand, args=(own,)) for own in times]
    for each in hands:
        each.start()
    for each in hands:
        each.join()
    taken = time.perf_counter() - began
    if not all(times):
        raise RuntimeError(f"{path}: a client got no answer")
    milliseconds = 1000 * np.concatenate(times)
    return Pace(len(milliseconds) / taken, *np.percentile(milliseconds, (50, 99)))


def _wait(process: subprocess.Popen, healthy: str, log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(healthy, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"the server did not start:\n{log.read_text()}")
