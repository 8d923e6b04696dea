"""The process of the service: its socket, its signals and its end."""

import asyncio
import ctypes
import dataclasses
import functools
import gc
import resource
import signal
import socket
import struct
import sys
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from vaeline.errors import VaelineError
from vaeline.redaction import public_uri
from vaeline.serving.app import build_app
from vaeline.serving.connections import Connection, Connections, Times
from vaeline.serving.follower import Follower, log
from vaeline.serving.hosts import own_names
from vaeline.serving.metrics import Metrics
from vaeline.serving.settings import Settings

KEEP_ALIVE = 75
LAST_REQUESTS = 3
BACKLOG = 2048
ACCEPTED_AT_ONCE = 32
OTHER_FILES = 128
HANDSHAKE = 0.2
SO_ATTACH_FILTER = 26
LOAD_FLAGS, KEEP_SYN_ACK, SKIP_UNLESS_SYN, DROP, TAKE = (
    *((0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02)),
    *((0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF)),
)
"""Instructions of Linux' packet filters (code, jump if true, jump if false, number): drop TCP's SYN, take all else."""


class Server(uvicorn.Server):
    """A server that answers every request on a connection that it has accepted before it ends."""

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self._open_connections = connections

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. Few connections are accepted at once, so that few pass their limit; many may wait for it."""
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(BACKLOG)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new connections, accept those that are complete, and answer their requests."""
        for listener in sockets or []:
            refuse_new(listener)
        await asyncio.sleep(HANDSHAKE)
        self._open_connections.ending = True
        await super().shutdown(sockets)


def serve(settings: Settings, host: str, port: int, proxies: list[str]) -> None:
    """Serve until SIGTERM or Ctrl-C. Requests in progress are answered before this returns.

    `proxies` are addresses of proxies whose X-Forwarded-For header is trusted.

    Raises:
        VaelineError: the port cannot be used, or the process may open too few files.
    """
    settings = dataclasses.replace(
        settings,
        connections=fit_connections(settings.connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        allowed_hosts=(*settings.allowed_hosts, *sorted(own_names(host))),
    )
    metrics = Metrics()
    follower = Follower(settings.reference, settings.interval, metrics)
    app = build_app(settings, follower, metrics)
    connections = Connections(
        settings.connections,
        settings.client_connections,
        Times(settings.head_timeout, LAST_REQUESTS * settings.timeout, KEEP_ALIVE),
        ProxyHeadersMiddleware(app, proxies).trusted_hosts.__contains__,  # ty: ignore[invalid-argument-type]
        metrics,
    )
    config = uvicorn.Config(
        app,
        http=functools.partial(Connection, connections),  # ty: ignore[invalid-argument-type]
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        backlog=ACCEPTED_AT_ONCE,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=round(LAST_REQUESTS * settings.timeout),
    )
    with listening(host, port) as listener, _ended_by_signals():
        address, number = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        keep_modules()
        log.info("following %s on http://%s:%s", public_uri(settings.reference), shown, number)
        Server(config, connections).run(sockets=[listener])
    log.info("the service has ended; all requests were answered")


def fit_connections(wanted: int, files: int) -> int:
    """The limit of connections in a process that may open `files` files, of which it needs OTHER_FILES itself.

    Raises:
        VaelineError: no connection is left.
    """
    left = files - OTHER_FILES
    if left < 1:
        raise VaelineError(f"serve: the process may open {files} files, and needs {OTHER_FILES}; raise `ulimit -n`")
    if left < wanted:
        log.warning("at most %s connections, because the process may open %s files (`ulimit -n`)", left, files)
    return min(wanted, left)


def keep_modules() -> None:
    """Spare the garbage collector all objects of now: it would look at those of TensorFlow for half a second.

    Nothing is answered meanwhile. The models are loaded later, so that they are still freed.
    """
    gc.collect()
    gc.freeze()


def refuse_new(listener: socket.socket) -> None:
    """Let the kernel complete no further connections. Those that wait to be accepted stay; on Linux, none is lost."""
    if not sys.platform.startswith("linux"):
        return
    code = b"".join(struct.pack("HBBI", *each) for each in (LOAD_FLAGS, KEEP_SYN_ACK, SKIP_UNLESS_SYN, DROP, TAKE))
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HP", len(code) // 8, ctypes.addressof(buffer))
    listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


@contextmanager
def listening(host: str, port: int) -> Generator[socket.socket]:
    """A listening socket. Raises VaelineError if the address or the port cannot be used."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]
        raise VaelineError(f"cannot listen on {host}:{port}: {reason}") from None
    with listener:
        # asyncio does not set this, because create_server names no protocol. Small answers would wait 40 ms for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


@contextmanager
def _ended_by_signals() -> Generator[None]:
    """SIGTERM and SIGINT end the block and not the process: uvicorn raises them again after its shutdown."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
