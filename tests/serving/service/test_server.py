import socket

import pytest

from vaeline.errors import VaelineError
from vaeline.serving.service.server import serve
from vaeline.serving.service.settings import Settings


def test_a_port_that_is_taken_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(VaelineError, match=rf"^127\.0\.0\.1:{port} cannot be listened on: Address already in use$"):
            serve(Settings("any.keras"), "127.0.0.1", port, [])


def test_a_host_that_there_is_not_is_one_sentence():
    with pytest.raises(VaelineError, match=r"^no such host\.invalid:0 cannot be listened on: "):
        serve(Settings("any.keras"), "no such host.invalid", 0, [])
