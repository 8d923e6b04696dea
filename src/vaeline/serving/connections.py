"""The connections of the server: their number, in all and by client, and the time that a client may take.

uvicorn limits neither the time for the head of a request nor the connections of a client, and it answers no request
that arrives on an open connection while it ends. hypercorn 0.18 and granian 2.8 lack the same, except that granian
limits the time for a head.
"""

import asyncio
import json
import select
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

import h11
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from vaeline.serving.limits import client_name
from vaeline.serving.metrics import Metrics

SHORTEST_WAIT = 1.0
LAST_CALL = 1.0
AGAIN = 0.05
REFUSED = 1.0
MOST_REFUSED = 32
State = Literal["head", "busy", "idle", "refused"]


@dataclass(frozen=True)
class Times:
    """The seconds that a connection may take for the head of a request, to take an answer, and between two requests."""

    head: float
    answer: float
    idle: float


class Connections:
    """The open connections of a server.

    At a limit, the connection that has waited longest for a request, at least SHORTEST_WAIT seconds, makes place for a
    new one. If there is none, the new one is refused.

    most, most_of_client: the limits in all and of one client.
    is_trusted: whether an address is that of a proxy, which has no limit of its own.
    """

    def __init__(
        self,
        most: int,
        most_of_client: int,
        times: Times,
        is_trusted: Callable[[str | None], bool],
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.times = times
        self.ending = False
        self.refused = 0
        self._most = most
        self._most_of_client = most_of_client
        self._is_trusted = is_trusted
        self._metrics = metrics
        self._clock = clock
        self._open: dict[Connection, str] = {}
        self._by_client: Counter[str] = Counter()
        self._waiting: dict[Connection, float] = {}

    def enter(self, connection: "Connection", address: str | None) -> bool:
        """Count a new connection; False if it must be refused."""
        client = client_name(address)
        is_full = self._by_client[client] >= self._most_of_client and not self._is_trusted(address)
        if is_full or len(self._open) >= self._most:
            longest = self._longest_waiting(client if is_full else None)
            if longest is None:
                self._metrics.refused_connections.inc()
                return False
            self.leave(longest)
            longest.end()
        self._open[connection] = client
        self._by_client[client] += 1
        self._metrics.connections.set(len(self._open))
        return True

    def leave(self, connection: "Connection") -> None:
        """Count a connection no longer. It may have left before."""
        client = self._open.pop(connection, None)
        self.works(connection)
        if client is not None:
            self._by_client[client] -= 1
            if not self._by_client[client]:
                del self._by_client[client]
            self._metrics.connections.set(len(self._open))

    def waits(self, connection: "Connection") -> None:
        """Note that a connection waits for a request, if it does not wait already."""
        if connection in self._open:
            self._waiting.setdefault(connection, self._clock())

    def works(self, connection: "Connection") -> None:
        """Note that a connection waits no longer."""
        self._waiting.pop(connection, None)

    def _longest_waiting(self, client: str | None) -> "Connection | None":
        latest = self._clock() - SHORTEST_WAIT
        waiting = (each for each, since in self._waiting.items() if since <= latest)
        return next((each for each in waiting if client in (None, self._open[each])), None)


class Connection(H11Protocol):
    """One connection. It is counted, limited in time, and closed only when no request has arrived on it.

    Its state is "head" until the head of a request is complete, "busy" until the answer is sent, and then "idle".
    """

    def __init__(self, connections: Connections, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._shared = connections
        self._state: State | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection or refuse it."""
        super().connection_made(transport)
        if self._shared.enter(self, self.client[0] if self.client else None):
            self._change("head", self._shared.times.head)
            self._shared.waits(self)
        else:
            self._refuse()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection no longer."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._shared.leave(self)
        self._shared.refused -= self._state == "refused"
        _cancel(self._timer, self._taking)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        if self._state != "refused":
            super().data_received(data)
            self._follow()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._follow()

    def pause_writing(self) -> None:
        """Limit the time in which the client takes the answer."""
        super().pause_writing()
        self._limit_taking()

    def resume_writing(self) -> None:
        """The client has taken nearly all."""
        super().resume_writing()
        _cancel(self._taking)
        self._taking = None

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, unless an answer is being sent."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(write_refusal(400, "this is not a request of HTTP/1.1"))
        self.end()

    def shutdown(self) -> None:
        """Answer the request in progress, and one that arrives within LAST_CALL seconds; then close."""
        if self._state == "busy":
            self._answer_last()
        elif self._state == "idle" or (self._state == "head" and not self._has_begun()):
            self._change(self._state, LAST_CALL)

    def end(self) -> None:
        """Close the connection. An answer that is not taken yet is dropped."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _follow(self) -> None:
        """Change the state to that of the present request."""
        if self.cycle is not None and not self.cycle.response_complete:
            if self._state != "busy":
                self._change("busy")
                self._shared.works(self)
            if self._shared.ending:
                self._answer_last()
            return
        if self.transport.get_write_buffer_size():
            self._limit_taking()
        if self.transport.is_closing():
            return
        times = self._shared.times
        if self._has_begun():
            if self._state != "head":
                self._change("head", times.head)
        elif self.cycle is not None and self._state != "idle":
            self._change("idle", LAST_CALL if self._shared.ending else times.idle)
        self._shared.waits(self)

    def _has_begun(self) -> bool:
        """Whether a part of a request is here, or the rest of a body that was refused is still to come."""
        return bool(self.conn.trailing_data[0]) or self.conn.their_state is h11.SEND_BODY

    def _change(self, state: State, seconds: float | None = None) -> None:
        _cancel(self._timer)
        self._state = state
        self._timer = self.loop.call_later(seconds, self._expire) if seconds is not None else None

    def _expire(self) -> None:
        if self.transport.is_closing():
            return
        if self._state == "idle" and self._is_readable():
            self._change("idle", AGAIN)  # a request has arrived, and the loop reads it next
            return
        if self._state == "head" and self.conn.trailing_data[0]:
            sentence = f"the head of the request did not arrive within {self._shared.times.head:g} seconds"
            self.transport.write(write_refusal(408, sentence))
        self.end()

    def _answer_last(self) -> None:
        """Tell the client that the connection is closed after this answer."""
        if CLOSE_HEADER not in self.cycle.default_headers and CLOSE_HEADER not in self.cycle.scope["headers"]:
            self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]
        self.cycle.keep_alive = False

    def _limit_taking(self) -> None:
        if self._taking is None:
            self._taking = self.loop.call_later(self._shared.times.answer, self._give_up_taking)

    def _give_up_taking(self) -> None:
        self._taking = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _is_readable(self) -> bool:
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def _refuse(self) -> None:
        """Answer 503 at once. A few refused connections stay open for a moment, else the client may miss the answer."""
        self.transport.write(write_refusal(503, "too many connections are open; try again later", retry_after=1))
        self._state = "refused"
        self._shared.refused += 1
        if self._shared.refused <= MOST_REFUSED:
            self.transport.write_eof()
            self._timer = self.loop.call_later(REFUSED, self.transport.abort)
        else:
            self.end()


def write_refusal(status: int, sentence: str, retry_after: int | None = None) -> bytes:
    """A refusal as the bytes of HTTP, for a connection on which there is no request yet."""
    body = json.dumps({"error": sentence, "status": status}).encode()
    headers = {"content-type": "application/json", "content-length": len(body), "connection": "close"}
    if retry_after:
        headers["retry-after"] = retry_after
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _cancel(*timers: asyncio.TimerHandle | None) -> None:
    for timer in timers:
        if timer is not None:
            timer.cancel()
