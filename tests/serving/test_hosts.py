import socket

import pytest
from serving.conftest import Host

from vaeline.serving.hosts import is_allowed, own_names

ALLOWED = ("vae.example.org", "*.Intern.example", "localhost")


@pytest.mark.parametrize(
    "header",
    [
        *("127.0.0.1", "127.0.0.1:8000", "10.1.2.3", "[::1]", "[::1]:8000", "[fe80::1%25eth0]:80"),
        *("localhost", "LocalHost:8000", "localhost.", "vae.example.org:443", "VAE.example.org", "a.b.intern.example"),
    ],
)
def test_addresses_and_names_that_were_given_are_allowed(header):
    assert is_allowed(header, ALLOWED)


@pytest.mark.parametrize(
    "header",
    [
        *(
            "",
            ":8000",
            "evil.example",
            "vae.example.org.evil.example",
            "evil.example/vae.example.org",
            "[::1",
            "[x]",
            "127.0.0.1/x",
        ),
        *("evil.example:80@127.0.0.1:x", "xintern.example", "intern.example", "127.0.0.1.evil.example", "1.2.3", "a b"),
    ],
)
def test_all_others_are_foreign(header):
    assert not is_allowed(header, ALLOWED)


def test_a_star_allows_all():
    assert is_allowed("evil.example", ("*",))
    assert is_allowed("", ("*",))


def test_the_own_names_are_those_of_the_machine_and_of_the_address_that_is_listened_on():
    names = own_names("Vae.example.org")
    assert {"localhost", socket.gethostname().lower(), "vae.example.org"} <= names
    assert "" not in own_names("")


def test_a_foreign_host_gets_one_sentence_on_every_path(shelf):
    with Host(shelf, allowed_hosts=("vae.example.org",)) as host:
        for path in ("/", "/healthz", "/version", "/sample", "/page/page.js", "/no/such/path"):
            refused = host.ask("GET", path, headers={"host": "evil.example"})
            assert refused.status_code == 400
            expected = (
                "this service does not answer under the host name of the request; see `vaeline serve --allowed-host`"
            )
            assert refused.json() == {"error": expected, "status": 400}
            assert refused.headers["x-content-type-options"] == "nosniff"
        assert host.ask("GET", "/healthz", headers={"host": "vae.example.org:443"}).status_code == 200
        assert host.ask("GET", "/healthz").status_code == 200
        assert host.sample("vaeline_requests_total", endpoint="/healthz", status="400") == 1
