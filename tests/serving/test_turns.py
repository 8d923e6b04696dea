import asyncio
import threading

import pytest

from vaeline.serving.turns import FairThreads, Places, Turns


def test_clients_share_by_cost():
    turns = Turns()
    large = [(turns.take("large", 10), "large") for _ in range(3)]
    small = [(turns.take("small", 1), "small") for _ in range(9)]
    assert [name for _, name in sorted([*large, *small])] == ["large", *["small"] * 9, "large", "large"]


def test_who_had_no_work_has_no_claim_on_the_past():
    turns = Turns()
    for _ in range(5):
        turns.begin(turns.take("a", 10))
    assert turns.next("b") == turns.take("b", 1) == 40
    assert turns.next("a") == 50


def test_a_place_goes_to_the_client_whose_turn_it_is():
    order = []

    async def scenario():
        places, gate = Places(1), asyncio.Event()

        async def work(client):
            async with places.take(client, 1):
                await gate.wait()
                order.append(client)

        tasks = [asyncio.create_task(work(client)) for client in "aaaab"]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*tasks)

    asyncio.run(scenario())
    assert order.index("b") <= 2


@pytest.mark.parametrize("when", ["waiting", "granted", "working"])
def test_a_place_of_cancelled_work_is_given_on(when):
    async def scenario():
        places, gate = Places(1), asyncio.Event()

        async def work():
            async with places.take("a", 1):
                await gate.wait()

        first = asyncio.create_task(work())
        await asyncio.sleep(0)
        second = asyncio.create_task(work())
        await asyncio.sleep(0)
        if when == "waiting":
            second.cancel()
        elif when == "working":
            first.cancel()
        else:
            gate.set()
            await first
            second.cancel()
        gate.set()
        await asyncio.gather(first, second, return_exceptions=True)
        await asyncio.wait_for(work(), 5)
        return places.expect("a", 1)

    assert asyncio.run(scenario()) == 0


def test_what_waits_for_a_place_is_expected_to_take_what_it_took_before():
    async def scenario():
        places = Places(1)
        assert places.expect("a", 1) == 0
        async with places.take("a", 1):
            await asyncio.sleep(0.1)
        async with places.take("a", 1):
            one, two = places.expect("b", 1), places.expect("b", 21)
        return one, two, places.expect("a", 1)

    one, two, after = asyncio.run(scenario())
    assert 0.03 < one < two
    assert two > 10 * one
    assert after == 0


def test_threads_work_and_their_errors_arrive():
    async def scenario():
        threads = FairThreads(2, "test")
        names = await asyncio.gather(*(threads.run("a", 1, threading.get_ident) for _ in range(4)))
        with pytest.raises(ZeroDivisionError):
            await threads.run("a", 1, lambda: 1 / 0)
        threads.close()
        return names

    assert threading.get_ident() not in asyncio.run(scenario())
