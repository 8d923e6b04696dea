import asyncio
import contextlib
import errno
import socket
import threading
from collections import Counter

import pytest
import uvicorn
from serving.live import LONG, PATIENCE, Live, head, is_closed, receive, wait_until

from vaeline.serving import connections as connections_module
from vaeline.serving import server as server_module
from vaeline.serving.connections import Times
from vaeline.serving.metrics import Metrics

HURRIED = Times(head=0.3, answer=0.3, idle=30.0)
LARGE = 30_000_000


async def application(scope, receive, send):
    """Answers `ok`; /slow after a moment, /large with many bytes, /deaf before the body has come, /body after it.

    /early sends the head of its answer before the body has come, and `ok` after it.
    """
    if scope["path"] == "/slow":
        await asyncio.sleep(0.2)
    if scope["path"] == "/early":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        while (await receive()).get("more_body"):
            continue
        await send({"type": "http.response.body", "body": b"ok"})
        return
    while scope["path"] == "/body" and (await receive()).get("more_body"):
        continue
    body = b"x" * LARGE if scope["path"] == "/large" else b"ok"
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def drip(connection, data):
    """Send a header every few milliseconds, until the other side has had enough."""
    connection.sendall(data)
    connection.settimeout(0.02)
    while True:
        with contextlib.suppress(TimeoutError):
            return receive(connection)
        connection.sendall(b"a: b\r\n")


def test_a_head_that_drips_is_answered_408_and_closed_in_its_time():
    with Live(application, times=HURRIED) as live:
        connection = live.connect()
        reply = drip(connection, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        assert (reply.status, reply.headers["connection"]) == (408, "close")
        assert reply.error == "the head of the request did not arrive within 0.3 seconds"
        assert is_closed(connection)
        wait_until(lambda: live.open == 0)


def test_the_head_of_a_later_request_has_the_same_time():
    with Live(application, times=HURRIED) as live:
        connection = live.connect()
        connection.sendall(head())
        assert receive(connection).status == 200
        assert drip(connection, b"GET / HTTP/1.1\r\n").status == 408


def test_a_connection_that_says_nothing_is_closed():
    with Live(application, times=HURRIED) as live:
        assert is_closed(live.connect())


def test_the_rest_of_a_body_that_was_answered_early_has_a_time():
    with Live(application, times=HURRIED) as live:
        connection = live.connect()
        connection.sendall(head("/deaf", "POST", content_length=1000) + b"x")
        assert receive(connection).status == 200
        assert is_closed(connection)


def test_an_idle_connection_is_closed_in_its_time_and_serves_again_before():
    with Live(application, times=Times(head=30, answer=30, idle=0.5)) as live:
        connection = live.connect()
        for _ in range(3):
            connection.sendall(head())
            assert receive(connection).status == 200
        connection.sendall(head("/deaf", "POST", content_length=3))
        assert receive(connection).status == 200
        connection.sendall(b"abc")
        assert is_closed(connection), "a body that is read after its answer leaves the connection idle"


def test_a_client_that_does_not_take_its_answer_is_dropped():
    with Live(application, times=Times(head=30, answer=0.3, idle=30)) as live:
        connection = live.connect()
        connection.sendall(head("/large"))
        assert connection.recv(1)
        wait_until(lambda: live.open == 0)
        with pytest.raises(ConnectionError):
            while connection.recv(1_000_000):
                continue
            raise ConnectionError("cut off")
        assert live.ask().status == 200


def test_a_client_that_takes_its_answer_gets_all_of_it():
    with Live(application) as live:
        assert len(live.ask(path="/large").body) == LARGE


@pytest.mark.parametrize(("limits", "others"), [({"most_of_client": 3}, 200), ({"most": 3}, 503)])
def test_connections_beyond_a_limit_are_refused_and_those_within_it_served(limits, others):
    metrics = Metrics()
    with Live(application, metrics=metrics, **limits) as live:
        held = [live.connect() for _ in range(3)]
        wait_until(lambda: live.open == 3)
        refused = live.ask()
        assert (refused.status, refused.headers["retry-after"], refused.headers["connection"]) == (503, "1", "close")
        assert refused.error == "too many connections are open; try again later"
        assert live.ask("127.0.0.2").status == others
        for connection in held:
            connection.sendall(head())
            assert receive(connection).status == 200
            connection.close()
        wait_until(lambda: metrics.registry.get_sample_value("vaeline_connections") == 0)
        assert live.ask().status == 200
        assert metrics.registry.get_sample_value("vaeline_refused_connections_total") == 1 + (others == 503)


def test_the_connection_that_has_waited_longest_makes_place(monkeypatch):
    monkeypatch.setattr(connections_module, "SHORTEST_WAIT", 0.0)
    with Live(application, most_of_client=3) as live:
        busy = live.connect()
        busy.sendall(head("/body", "POST", content_length=2) + b"o")
        wait_until(lambda: len(live.server.server_state.tasks) == 1)
        other = live.connect("127.0.0.2")
        silent, young = live.connect(), live.connect()
        wait_until(lambda: live.open == 4)
        assert live.ask().status == 200
        assert is_closed(silent)
        busy.sendall(b"k")
        assert receive(busy).status == 200
        for connection in (young, other):
            connection.sendall(head())
            assert receive(connection).status == 200


def test_when_all_are_busy_nobody_makes_place(monkeypatch):
    monkeypatch.setattr(connections_module, "SHORTEST_WAIT", 0.0)
    with Live(application, most=2) as live:
        busy = [live.connect() for _ in range(2)]
        for connection in busy:
            connection.sendall(head("/body", "POST", content_length=2) + b"o")
        wait_until(lambda: len(live.server.server_state.tasks) == 2)
        assert live.ask().status == 503
        for connection in busy:
            connection.sendall(b"k")
            assert receive(connection).status == 200


def test_a_proxy_has_no_limit_of_its_own():
    with Live(application, most_of_client=1, is_trusted="127.0.0.9".__eq__) as live:
        assert [live.connect("127.0.0.9") and live.ask("127.0.0.9").status for _ in range(3)] == [200] * 3


def test_refused_connections_are_closed_also_if_the_client_keeps_them():
    with Live(application, most=1) as live:
        held = live.connect()
        wait_until(lambda: live.open == 1)
        refused = [live.connect() for _ in range(100)]
        for connection in refused:
            with contextlib.suppress(ConnectionError):
                assert receive(connection).status == 503
        wait_until(lambda: live.open == 1)
        assert live.connections.refused == 0
        held.sendall(head())
        assert receive(held).status == 200


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"hello\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])
def test_what_is_not_http_gets_a_sentence(data):
    with Live(application) as live:
        connection = live.connect()
        connection.sendall(data)
        reply = receive(connection)
        assert (reply.status, reply.error) == (400, "this is not a request of HTTP/1.1")
        assert is_closed(connection)


def test_what_is_not_http_behind_a_request_does_not_spoil_its_answer(caplog):
    with Live(application) as live:
        connection = live.connect()
        connection.sendall(head("/slow") + b"\x00\x01\r\n\r\n")
        assert receive(connection).status == 200
    assert "Traceback" not in caplog.text


def test_at_the_end_every_request_on_an_accepted_connection_is_answered():
    with Live(application) as live:
        idle, begun, slow = (live.connect() for _ in range(3))
        idle.sendall(head())
        assert receive(idle).status == 200
        begun.sendall(head()[:10])
        slow.sendall(head("/body", "POST", content_length=2) + b"o")
        wait_until(lambda: live.open == 3 and len(live.server.server_state.tasks) == 1)
        live.end()
        wait_until(lambda: live.connections.ending)
        slow.sendall(b"k")
        idle.sendall(head())
        begun.sendall(head()[10:])
        for connection in (idle, begun, slow):
            reply = receive(connection)
            assert (reply.status, reply.headers.get("connection")) == (200, "close")
            assert is_closed(connection)
        wait_until(lambda: not live._thread.is_alive())
        with pytest.raises(ConnectionRefusedError):
            live.connect()


def test_at_the_end_idle_connections_do_not_hold_it_up(monkeypatch):
    monkeypatch.setattr(connections_module, "LAST_CALL", 0.05)
    with Live(application, times=LONG) as live:
        idle, silent = live.connect(), live.connect()
        idle.sendall(head())
        assert receive(idle).status == 200
        live.end()
        assert is_closed(idle)
        assert is_closed(silent)


def test_at_the_end_a_connection_is_closed_after_its_answer_also_if_the_head_was_sent_before(monkeypatch):
    monkeypatch.setattr(connections_module, "LAST_CALL", 10 * PATIENCE)
    with Live(application) as live:
        begun = live.connect()
        begun.sendall(head("/early", "POST", content_length=2) + b"o")
        assert begun.recv(8, socket.MSG_PEEK) == b"HTTP/1.1"
        live.end()
        wait_until(lambda: live.connections.ending)
        begun.sendall(b"k")
        assert receive(begun).body == b"ok"
        assert is_closed(begun)


def test_a_request_that_arrives_just_as_the_time_of_an_idle_connection_ends_is_answered():
    with Live(application) as live:
        connection = live.connect()
        connection.sendall(head())
        assert receive(connection).status == 200
        (served,) = live.connections._open
        wait_until(lambda: served._state == "idle")

        def send_and_expire():
            """The request is in the kernel, and the loop has not read it yet."""
            connection.sendall(head())
            served._expire()

        served.loop.call_soon_threadsafe(send_and_expire)
        assert receive(connection).status == 200


def test_at_the_end_no_connection_is_completed_before_the_listener_is_closed(monkeypatch):
    found = []

    async def close(self, sockets):
        for listener in sockets:
            with socket.socket() as late:
                late.settimeout(0.1)
                found.append(late.connect_ex(listener.getsockname()))

    monkeypatch.setattr(uvicorn.Server, "shutdown", close)
    connections = connections_module.Connections(1, 1, LONG, lambda _: False, Metrics())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = server_module.Server(uvicorn.Config(application, log_config=None), connections)
        asyncio.run(server.shutdown([listener]))
    assert connections.ending
    assert found == [errno.EAGAIN], "the handshake of a late client must get no answer"


def test_the_end_under_load_loses_no_request(monkeypatch):
    monkeypatch.setattr(connections_module, "LAST_CALL", 0.3)
    ends = Counter()

    def press(live, keep):
        """Ask until a connection is refused. Each request on a connection must be answered."""
        connection = None
        while True:
            try:
                connection = connection or socket.create_connection(live.address, 5)
            except (ConnectionRefusedError, TimeoutError):
                ends["refused"] += 1
                return
            try:
                connection.sendall(head("/slow" if keep else "/"))
                reply = receive(connection)
            except OSError as error:
                ends[repr(error)] += 1
                return
            if reply.headers.get("connection") == "close" or not keep:
                connection.close()
                connection = None

    with Live(application) as live:
        hands = [threading.Thread(target=press, args=(live, number % 2 == 0)) for number in range(24)]
        for hand in hands:
            hand.start()
        wait_until(lambda: live.server.server_state.total_requests > 200)
        live.end()
        for hand in hands:
            hand.join()
    assert ends == {"refused": 24}


def test_a_listener_that_refuses_new_connections_keeps_those_that_wait():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        waiting = socket.create_connection(listener.getsockname())
        server_module.refuse_new(listener)
        late = socket.socket()
        late.setblocking(False)
        late.connect_ex(listener.getsockname())
        accepted, _ = listener.accept()
        waiting.sendall(b"a")
        assert accepted.recv(1) == b"a"
        listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listener.accept()
        for each in (waiting, accepted, late):
            each.close()
