import asyncio
import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from serving.conftest import identity

from vaeline.pyfunc.answers import ModelRequest, UnanswerableError, answer
from vaeline.serving import batching
from vaeline.serving.batching import Batcher, NoModelError
from vaeline.serving.metrics import Metrics
from vaeline.serving.served import Served

LONG = 30.0
MANY = 1000


class Desk:
    """A batcher around a model that can be changed, and what it was given to compute."""

    def __init__(self, model, monkeypatch, batch=8, wait=LONG, in_work=lambda: MANY):
        self.version = 1
        self.batches = []
        self.began, self.may_end = threading.Event(), threading.Event()
        self.may_end.set()
        self._model = model
        self._answer_all = batching.answer_all
        monkeypatch.setattr(batching, "answer_all", self._record)
        self.batcher = Batcher(self._current, in_work, batch, wait, Metrics())

    def run(self, scenario):
        async def play():
            working = asyncio.create_task(self.batcher.work())
            try:
                return await asyncio.wait_for(scenario(self.batcher), 20)
            finally:
                self.may_end.set()
                working.cancel()
                self.batcher.close()

        return asyncio.run(play())

    def _current(self):
        named = identity(self.version)
        return Served(named, self._model, (), datetime.now(UTC), {}, ()) if self.version else None

    def _record(self, model, asks):
        self.batches.append([ask.size for ask in asks])
        self.began.set()
        self.may_end.wait(10)
        return self._answer_all(model, asks)


@pytest.fixture
def make_desk(small_model, monkeypatch):
    return lambda **settings: Desk(small_model, monkeypatch, **settings)


def test_what_arrives_together_is_computed_together_and_each_gets_its_own(make_desk, small_model, greys):
    desk = make_desk(batch=6)
    asks = [ModelRequest("encode", greys[start : start + 2]) for start in range(0, 6, 2)]
    answers = desk.run(lambda batcher: asyncio.gather(*map(batcher.submit, asks)))
    assert desk.batches == [[2, 2, 2]]
    for ask, answered in zip(asks, answers, strict=True):
        np.testing.assert_allclose(answered.found["z_mean"], answer(small_model, ask)["z_mean"], atol=1e-5)


def test_the_first_waits_no_longer_than_it_must(make_desk, greys):
    desk = make_desk(wait=0.05)
    desk.run(lambda batcher: batcher.submit(ModelRequest("encode", greys[:1])))
    assert desk.batches == [[1]]
    alone = make_desk(in_work=lambda: 1)
    alone.run(lambda batcher: batcher.submit(ModelRequest("encode", greys[:1])))
    assert alone.batches == [[1]], "with nobody else in work there is nobody to wait for"


def test_a_batch_has_its_size_and_a_larger_request_is_not_divided(make_desk, greys):
    desk = make_desk(batch=4, wait=0.05)
    asks = [ModelRequest("encode", greys[:size]) for size in (3, 2, 1, 9)]
    answers = desk.run(lambda batcher: asyncio.gather(*map(batcher.submit, asks)))
    assert desk.batches == [[3, 1], [2], [9]]
    assert [len(answered.found["z_mean"]) for answered in answers] == [3, 2, 1, 9]


def test_requests_of_other_kinds_wait_for_their_own_turn(make_desk, greys):
    desk = make_desk(wait=0.05)
    asks = [
        ModelRequest("encode", greys[:1]),
        ModelRequest("score", greys[:2]),
        ModelRequest("encode", greys[:3]),
        ModelRequest("score", greys[:2], seed=2),
    ]
    answers = desk.run(lambda batcher: asyncio.gather(*map(batcher.submit, asks)))
    assert desk.batches == [[1, 3], [2], [2]]
    assert ["z_mean" in answered.found for answered in answers] == [True, False, True, False]


def test_a_batch_is_of_the_model_that_was_current_when_it_began(make_desk, greys):
    desk = make_desk(batch=2)
    desk.may_end.clear()

    async def scenario(batcher):
        first = [asyncio.create_task(batcher.submit(ModelRequest("encode", greys[:1]))) for _ in range(2)]
        await asyncio.to_thread(desk.began.wait, 10)
        desk.version = 2
        second = [asyncio.create_task(batcher.submit(ModelRequest("encode", greys[:1]))) for _ in range(2)]
        await asyncio.sleep(0)
        desk.may_end.set()
        return await asyncio.gather(*first, *second)

    versions = [answered.identity.version for answered in desk.run(scenario)]
    assert versions == ["1", "1", "2", "2"]


def test_a_request_that_breaks_the_model_spoils_no_other(make_desk, monkeypatch, greys):
    desk = make_desk(batch=3)
    record = desk._record

    def poisoned(model, asks):
        if any(ask.values[0, 0, 0] == 0.5 for ask in asks):
            raise MemoryError("too much")
        return record(model, asks)

    monkeypatch.setattr(batching, "answer_all", poisoned)
    poison = greys[:1].copy()
    poison[0, 0, 0] = 0.5
    asks = [ModelRequest("encode", greys[:1]), ModelRequest("encode", poison), ModelRequest("encode", greys[1:2])]
    found = [part.found for part in desk.run(lambda batcher: asyncio.gather(*map(batcher.submit, asks)))]
    assert isinstance(found[1], MemoryError)
    assert [set(part) for part in (found[0], found[2])] == [{"z_mean", "z_log_var"}] * 2


def test_what_the_model_refuses_is_handed_back_with_its_name(make_desk, greys):
    desk = make_desk(batch=2)
    answered = desk.run(lambda batcher: batcher.submit(ModelRequest("encode", greys[:2] + 1)))
    assert isinstance(answered.found, UnanswerableError)
    assert answered.identity == identity(1)


def test_without_a_model_it_says_so_and_goes_on(make_desk, greys):
    desk = make_desk(batch=1)
    desk.version = 0

    async def scenario(batcher):
        with pytest.raises(NoModelError):
            await batcher.submit(ModelRequest("encode", greys[:1]))
        desk.version = 1
        return await batcher.submit(ModelRequest("encode", greys[:1]))

    assert desk.run(scenario).identity.version == "1"


def test_who_gave_up_is_not_computed(make_desk, greys):
    desk = make_desk(batch=2)
    desk.may_end.clear()

    async def scenario(batcher):
        first = asyncio.create_task(batcher.submit(ModelRequest("encode", greys[:2])))
        await asyncio.to_thread(desk.began.wait, 10)
        tired = asyncio.create_task(batcher.submit(ModelRequest("score", greys[:2])))
        await asyncio.sleep(0)
        tired.cancel()
        await asyncio.sleep(0)
        first.cancel()
        desk.may_end.set()
        return await batcher.submit(ModelRequest("decode", np.zeros((2, 2), "float32")))

    assert "images" in desk.run(scenario).found
    assert desk.batches == [[2], [2]]


def test_a_batch_that_does_not_end_is_noticed(make_desk, greys):
    desk = make_desk(batch=1)
    desk.may_end.clear()

    async def scenario(batcher):
        assert not batcher.stalls(0)
        asked = asyncio.create_task(batcher.submit(ModelRequest("encode", greys[:1])))
        await asyncio.to_thread(desk.began.wait, 10)
        stalled = batcher.stalls(0), batcher.stalls(60)
        desk.may_end.set()
        await asked
        return stalled, batcher.stalls(0)

    assert desk.run(scenario) == ((True, False), False)


def test_a_client_with_much_does_not_delay_one_with_little(make_desk, greys):
    desk = make_desk(batch=2, wait=0.0)
    desk.may_end.clear()
    order = []

    async def scenario(batcher):
        async def ask(client):
            await batcher.submit(ModelRequest("encode", greys[:2]), client)
            order.append(client)

        asked = [asyncio.create_task(ask("busy")) for _ in range(6)]
        await asyncio.to_thread(desk.began.wait, 10)
        asked.append(asyncio.create_task(ask("rare")))
        await asyncio.sleep(0)
        desk.may_end.set()
        await asyncio.gather(*asked)

    desk.run(scenario)
    assert order.index("rare") <= 2, order


def test_what_is_ahead_is_expected_to_take_what_it_took_before(make_desk, greys):
    desk = make_desk(batch=2, wait=0.0)
    slow = ModelRequest("encode", greys[:2])

    async def scenario(batcher):
        assert batcher.expect("a", slow) == 0, "nobody is ahead"
        desk.may_end.clear()
        first = asyncio.create_task(batcher.submit(slow, "a"))
        await asyncio.to_thread(desk.began.wait, 10)
        assert batcher.expect("a", slow) == 0, "nothing is known yet"
        await asyncio.sleep(0.3)
        desk.may_end.set()
        await first
        desk.began.clear()
        desk.may_end.clear()
        more = [asyncio.create_task(batcher.submit(slow, "a")) for _ in range(5)]
        await asyncio.to_thread(desk.began.wait, 10)
        found = [batcher.expect("a", slow), batcher.expect("a"), batcher.expect("b", slow)]
        desk.may_end.set()
        await asyncio.gather(*more)
        return found, batcher.expect("a", slow)

    (mine, before_mine, others), after = desk.run(scenario)
    assert mine > 5 * 0.3, "four wait, and one more"
    assert 4 * 0.3 < before_mine < mine
    assert 0.3 < others < before_mine, "another client waits for at most one of them"
    assert after == 0


def test_the_last_request_of_a_client_can_be_dropped(make_desk, greys):
    desk = make_desk(batch=1, wait=0.0)
    desk.may_end.clear()

    async def scenario(batcher):
        asked = [asyncio.create_task(batcher.submit(ModelRequest("encode", greys[:1]), client)) for client in "aaab"]
        await asyncio.to_thread(desk.began.wait, 10)
        dropped = [batcher.drop_from(client) for client in ("a", "c")]
        desk.may_end.set()
        return dropped, await asyncio.gather(*asked, return_exceptions=True)

    dropped, found = desk.run(scenario)
    assert dropped == [True, False]
    assert [isinstance(answered, batching.DroppedError) for answered in found] == [False, False, True, False]
