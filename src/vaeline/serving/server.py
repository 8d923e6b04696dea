"""The process of the service: its socket, its signals and its end."""

import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn

from vaeline.errors import VaelineError
from vaeline.redaction import public_uri
from vaeline.serving.app import build_app
from vaeline.serving.follower import Follower, log
from vaeline.serving.metrics import Metrics
from vaeline.serving.settings import Settings

CONNECTIONS = 1000
KEEP_ALIVE = 75
LAST_REQUESTS = 3
BACKLOG = 2048


def serve(settings: Settings, host: str, port: int, proxies: list[str]) -> None:
    """Serve until SIGTERM or Ctrl-C. Requests in progress are answered before this returns.

    `proxies` are addresses of proxies whose X-Forwarded-For header is trusted.

    Raises:
        VaelineError: the port cannot be used.
    """
    metrics = Metrics()
    follower = Follower(settings.reference, settings.interval, metrics)
    config = uvicorn.Config(
        build_app(settings, follower, metrics),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=round(LAST_REQUESTS * settings.timeout),
    )
    with listening(host, port) as listener, _ended_by_signals():
        address, number = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        log.info("following %s on http://%s:%s", public_uri(settings.reference), shown, number)
        uvicorn.Server(config).run(sockets=[listener])
    log.info("the service has ended; all requests were answered")


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
