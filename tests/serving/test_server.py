import socket

import pytest

from vaeline.errors import VaelineError
from vaeline.serving.server import fit_connections, listening, serve
from vaeline.serving.settings import Settings


def test_a_port_that_is_taken_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(VaelineError, match=rf"^cannot listen on 127\.0\.0\.1:{port}: Address already in use$"):
            serve(Settings("any.keras"), "127.0.0.1", port, [])


def test_a_host_that_there_is_not_is_one_sentence():
    with pytest.raises(VaelineError, match=r"^cannot listen on no such host\.invalid:0: "):
        serve(Settings("any.keras"), "no such host.invalid", 0, [])


def test_a_small_answer_does_not_wait_for_the_acknowledgement_of_its_head():
    with listening("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_limit_of_connections_leaves_files_for_the_rest(caplog):
    assert fit_connections(1000, 20_000) == 1000
    assert not caplog.text
    assert fit_connections(1000, 200) == 72
    assert "at most 72 connections, because the process may open 200 files (`ulimit -n`)" in caplog.text
    with pytest.raises(VaelineError, match=r"may open 128 files, and needs 128; raise `ulimit -n`$"):
        fit_connections(1000, 128)
