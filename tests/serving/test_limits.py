import asyncio
import threading

import httpx
import numpy as np
import pytest
from serving.conftest import Host

from vaeline.errors import VaelineError
from vaeline.serving import batching, limits, service
from vaeline.serving.limits import HeldBytes, RateLimit, client_name, read_body
from vaeline.serving.refusal import RefusalError
from vaeline.serving.settings import Settings


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def allowed(limit, client, times):
    def take():
        try:
            limit.take(client)
        except RefusalError:
            return False
        return True

    return sum(take() for _ in range(times))


def test_a_client_has_its_burst_and_then_its_rate():
    clock = Clock()
    limit = RateLimit(2.0, 5, clock)
    assert allowed(limit, "a", 9) == 5
    clock.now = 1.0
    assert allowed(limit, "a", 9) == 2
    clock.now = 1000.0
    assert allowed(limit, "a", 9) == 5
    assert allowed(limit, "b", 9) == 5, "another client has its own"


def test_who_is_refused_is_told_when_to_come_back():
    clock = Clock()
    limit = RateLimit(0.1, 1, clock)
    limit.take("a")
    clock.now = 4.0
    with pytest.raises(RefusalError, match=r"0\.1 a second are allowed, after a burst of 1$") as error:
        limit.take("a")
    assert (error.value.status, error.value.retry_after) == (429, 6)
    clock.now = 10.0
    limit.take("a")


def test_no_rate_is_no_limit():
    assert allowed(RateLimit(0.0, 1, Clock()), "a", 50) == 50


def test_only_so_many_clients_are_remembered_the_last_ones(monkeypatch):
    monkeypatch.setattr(limits, "MOST_CLIENTS", 3)
    limit = RateLimit(1.0, 1, Clock())
    for client in "abcd":
        limit.take(client)
    assert allowed(limit, "a", 1) == 1, "forgotten"
    assert allowed(limit, "d", 1) == 0, "remembered"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        (None, "unknown"),
    ],
)
def test_a_client_is_an_address_or_a_network_of_them(host, name):
    assert client_name(host) == name


async def pieces(*parts, pause=0.0):
    for part in parts:
        await asyncio.sleep(pause)
        yield part


def read(*parts, declared=None, most=10, timeout=5.0, pause=0.0):
    return asyncio.run(read_body(pieces(*parts, pause=pause), declared, most, timeout))


def test_a_body_is_read_to_its_end():
    assert read(b"12345", b"67890") == b"1234567890"
    assert read(declared="0") == b""


@pytest.mark.parametrize("declared", [None, "11", "5", "-1", "x", "9" * 5000])
def test_a_body_that_is_too_large_is_refused_whatever_it_declares(declared):
    with pytest.raises(RefusalError, match="larger than 10 bytes") as error:
        read(b"123456", b"123456", declared=declared)
    assert error.value.status == 413


def test_what_is_declared_far_too_large_is_not_even_read():
    with pytest.raises(RefusalError, match="larger than 10 bytes"):
        asyncio.run(read_body(None, "1000000", 10, 5.0))


def test_what_never_ends_is_not_read_for_ever():
    async def endless():
        while True:
            yield b"123456"

    with pytest.raises(RefusalError, match="larger than 10 bytes"):
        asyncio.run(read_body(endless(), None, 10, 5.0))


def test_a_body_that_dawdles_is_refused():
    with pytest.raises(RefusalError, match=r"within 0\.05 seconds") as error:
        read(b"1", b"2", b"3", timeout=0.05, pause=0.03)
    assert error.value.status == 408


def test_the_rate_is_that_of_a_client_and_spares_what_is_watched(shelf, monkeypatch):
    monkeypatch.setattr(service, "DELAY", 0.0)
    with Host(shelf, rate=0.001, burst=3) as host:
        statuses = [host.ask("GET", "/sample").status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        refused = host.ask("GET", "/sample")
        assert 900 <= int(refused.headers["retry-after"]) <= 1000
        assert refused.json()["error"].startswith("too many requests: 0.001 a second")
        for path in ("/healthz", "/readyz", "/version", "/metrics"):
            assert host.ask("GET", path).status_code == 200
        other = host.run(lambda client: client.get("/sample"), "10.0.0.2")
        assert other.status_code == 200
        assert host.sample("vaeline_requests_total", endpoint="/sample", status="429") == 3


def test_a_body_has_its_bytes(shelf):
    with Host(shelf, most_bytes=1000) as host:
        response = host.ask("POST", "/encode", content=b"x" * 1001, headers={"content-type": "application/json"})
    assert response.status_code == 413
    assert response.json()["error"] == "the body is larger than 1,000 bytes (--most-bytes)"


@pytest.fixture
def slow(monkeypatch):
    """A model that takes its time, until it is let go."""
    gate = threading.Event()
    answer_all = batching.answer_all

    def wait(model, asks):
        gate.wait(10)
        return answer_all(model, asks)

    monkeypatch.setattr(batching, "answer_all", wait)
    yield gate
    gate.set()


def test_a_full_queue_refuses_and_serves_those_in_it(shelf, slow):
    with Host(shelf, queue=3) as host:

        async def scenario(client):
            waiting = [asyncio.create_task(client.get(f"/sample?seed={seed}")) for seed in range(3)]
            while host.service.in_work < 3:
                await asyncio.sleep(0.01)
            refused = await client.get("/sample")
            slow.set()
            return refused, await asyncio.gather(*waiting)

        refused, served = host.run(scenario)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["error"] == "3 requests are waiting already; try again later"
        assert [response.status_code for response in served] == [200] * 3
        assert host.service.in_work == 0


def test_a_full_queue_makes_place_for_a_client_with_fewer_requests(shelf, slow):
    with Host(shelf, queue=3, wait=0.0) as host:

        async def scenario(client):
            ask = {address: httpx.ASGITransport(host.app, client=(address, 1)) for address in ("10.0.0.1", "10.0.0.2")}
            asked = []
            for address, in_work in (("10.0.0.1", 1), ("10.0.0.1", 2), ("10.0.0.1", 3), ("10.0.0.2", 3)):
                other = httpx.AsyncClient(transport=ask[address], base_url="http://127.0.0.1")
                asked.append(asyncio.create_task(other.get(f"/sample?seed={len(asked)}")))
                while host.service.in_work < in_work or (len(asked) == 4 and not asked[2].done()):
                    await asyncio.sleep(0.01)
            slow.set()
            return [response.status_code for response in await asyncio.gather(*asked)]

        assert host.run(scenario) == [200, 200, 503, 200]


@pytest.mark.parametrize("size", [8, 1000])
def test_what_cannot_be_answered_in_time_is_refused_at_once(shelf, slow, monkeypatch, size):
    with Host(shelf, timeout=10.0) as host:
        monkeypatch.setattr(host.service.batcher, "expect", lambda client, request=None: 12.3)
        refused = host.ask("POST", "/encode", content=b"x" * size, headers={"content-type": "application/json"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        expected = "the answer is expected in 12 seconds, later than the time-out; try again later"
        assert refused.json()["error"] == expected
        assert host.service.in_work == 0
        monkeypatch.setattr(host.service.batcher, "expect", lambda client, request=None: 7.9)
        slow.set()
        assert host.ask("GET", "/sample").status_code == 200


def test_large_requests_that_wait_for_others_are_refused_at_once(shelf, monkeypatch):
    with Host(shelf, timeout=10.0) as host:
        monkeypatch.setattr(host.service._large_places, "expect", lambda client, size: size / 10_000)
        for size, status in ((10_000, 400), (200_000, 503)):
            response = host.ask("POST", "/encode", content=b"[" * size, headers={"content-type": "application/json"})
            assert response.status_code == status, response.text


def test_the_time_for_the_model_is_looked_at_again_when_the_images_are_known(shelf, monkeypatch, greys):
    with Host(shelf, timeout=10.0) as host:
        monkeypatch.setattr(host.service.batcher, "expect", lambda client, request=None: request.size if request else 0)
        statuses = [host.ask("POST", "/encode", json={"images": greys[:size].tolist()}).status_code for size in (8, 9)]
    assert statuses == [200, 503]


def test_a_client_may_hold_half_of_the_bytes_of_bodies():
    held = HeldBytes(100)
    with held.hold("a", 50):
        with pytest.raises(RefusalError, match=r"\(--bodies\)$") as error, held.hold("a", 1):
            pass
        assert (error.value.status, error.value.retry_after) == (503, 1)
        with held.hold("b", 30), pytest.raises(RefusalError), held.hold("c", 21):
            pass
        with held.hold("b", 50):
            pass
    with held.hold("a", 50):
        pass


def test_bodies_beyond_their_number_are_refused_before_they_are_read(shelf):
    with Host(shelf, bodies=2, most_bytes=1000) as host:

        async def slowly():
            while not refused.is_set():
                yield b" "
                await asyncio.sleep(0.01)

        async def scenario(client):
            json = {"content-type": "application/json"}
            first = asyncio.create_task(client.post("/encode", content=slowly(), headers=json))
            while not host.service._held._held:
                await asyncio.sleep(0.01)
            assert host.service.in_work == 0, "a body that is being read takes no place in the queue"
            second = await client.post("/encode", content=b"{}", headers=json)
            refused.set()
            return second, await first, await client.post("/encode", content=b"{}", headers=json)

        refused = asyncio.Event()
        second, first, third = host.run(scenario)
    assert (second.status_code, second.headers["retry-after"]) == (503, "1")
    assert (first.status_code, third.status_code) == (400, 422)


def test_an_answer_that_takes_too_long_is_given_up_and_the_next_is_not(shelf, slow):
    with Host(shelf, timeout=0.2) as host:
        late = host.ask("GET", "/sample")
        assert (late.status_code, late.json()["error"]) == (504, "there was no answer within 0.2 seconds")
        assert host.service.in_work == 0
        slow.set()
        while (status := host.ask("GET", "/sample").status_code) == 504:
            continue
        assert status == 200


def test_a_server_whose_model_hangs_is_not_ready(shelf, slow):
    with Host(shelf, timeout=0.05) as host:
        host.ask("GET", "/sample")
        host.run(lambda client: asyncio.sleep(0.2))
        assert host.ask("GET", "/readyz").status_code == 503
        slow.set()
        while host.ask("GET", "/readyz").status_code == 503:
            host.run(lambda client: asyncio.sleep(0.01))


@pytest.mark.parametrize("name", ["interval", "most_images", "queue", "timeout", "batch", "burst"])
def test_settings_that_make_no_sense_are_refused(name):
    for value in (0, -1, np.nan):
        with pytest.raises(VaelineError, match=f"serve: {name.replace('_', '-')} must be above 0"):
            Settings("any", **{name: value})
