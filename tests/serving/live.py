"""A server on a real port, in a thread of this process."""

import asyncio
import functools
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp

from vaeline.serving.connections import Connection, Connections, Times
from vaeline.serving.metrics import Metrics
from vaeline.serving.server import ACCEPTED_AT_ONCE, Server, listening

PATIENCE = 20.0
LONG = Times(head=PATIENCE, answer=PATIENCE, idle=PATIENCE)


@dataclass(frozen=True)
class Reply:
    """What a server sent until it closed the connection, or the first whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        return json.loads(self.body)["error"]


class Live:
    """A running server of an application."""

    def __init__(
        self,
        app: ASGIApp,
        most: int = 100,
        most_of_client: int = 100,
        times: Times = LONG,
        is_trusted: Callable[[str | None], bool] = lambda _: False,
        metrics: Metrics | None = None,
    ) -> None:
        self.connections = Connections(most, most_of_client, times, is_trusted, metrics or Metrics())
        config = uvicorn.Config(
            app,
            http=functools.partial(Connection, self.connections),
            ws="none",
            log_config=None,
            lifespan="off",
            timeout_keep_alive=round(10 * PATIENCE),
            backlog=ACCEPTED_AT_ONCE,
        )
        self.server = Server(config, self.connections)
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._listening = listening("127.0.0.1", 0)
        listener = self._listening.__enter__()
        self.address = listener.getsockname()
        self._thread = threading.Thread(target=lambda: asyncio.run(self.server.serve([listener])))
        self._thread.start()
        wait_until(lambda: self.server.started)
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            each.close()
        self.end()
        self._thread.join(PATIENCE)
        self._listening.__exit__(None, None, None)

    def end(self) -> None:
        """Do what SIGTERM does."""
        self.server.should_exit = True

    def connect(self, client: str = "127.0.0.1") -> socket.socket:
        """A connection from a client with this address."""
        connection = socket.create_connection(self.address, PATIENCE, (client, 0))
        self._sockets.append(connection)
        return connection

    def ask(self, client: str = "127.0.0.1", path: str = "/") -> Reply:
        """One request on a connection of its own."""
        with self.connect(client) as connection:
            connection.sendall(head(path))
            return receive(connection)

    @property
    def open(self) -> int:
        return len(self.server.server_state.connections)


def head(path: str = "/", method: str = "GET", **headers: Any) -> bytes:
    """The head of a request."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in {"host": "127.0.0.1", **headers}.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode()


def receive(connection: socket.socket) -> Reply:
    """One answer. Raises ConnectionError if there is none, or only a part of it."""
    found = bytearray()
    while b"\r\n\r\n" not in found:
        found += _more(connection)
    text, _, body = found.partition(b"\r\n\r\n")
    first, *lines = bytes(text).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += _more(connection)
    return Reply(int(first.split()[1]), headers, bytes(body))


def is_closed(connection: socket.socket) -> bool:
    """Whether the server closes the connection without another byte. It waits for that or for a byte."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition. Raises TimeoutError."""
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.005)


def _more(connection: socket.socket) -> bytes:
    part = connection.recv(65_536)
    if not part:
        raise ConnectionError("the server closed the connection before its answer was complete")
    return part
