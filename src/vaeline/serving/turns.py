"""Clients take turns, so that one with much work does not delay one with little.

This is start-time fair queueing (Goyal et al. 1996).
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

NEWEST = 0.3
"""The weight of the newest measurement in a pace."""
Result = TypeVar("Result")


class Turns:
    """The order of work. The turn of a client's next work is that of its work before, plus the cost of that.

    A client that had no work begins at the turn of the work that is done now.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._next: dict[str, float] = {}

    def next(self, client: str) -> float:
        """The turn that work of this client would get."""
        return max(self._now, self._next.get(client, 0.0))

    def take(self, client: str, cost: float) -> float:
        """A turn for work of this cost. Work with a lower turn is done first."""
        turn = self.next(client)
        self._next[client] = turn + cost
        return turn

    def begin(self, turn: float) -> None:
        """Note that work with this turn begins."""
        self._now = max(self._now, turn)
        self._next = {client: turn for client, turn in self._next.items() if turn > self._now}


class Places:
    """A number of places for work, which clients take in turns."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._turns = Turns()
        self._waiting: list[tuple[float, int, float, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._running: list[float] = []
        self._pace = 0.0

    @asynccontextmanager
    async def take(self, client: str, cost: float) -> AsyncGenerator[None]:
        """Wait for a place, and have it during the block."""
        turn, start = self._turns.take(client, cost), asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (turn, next(self._numbers), cost, start))
        self._begin()
        try:
            await start
            began = time.monotonic()
            yield
            self._pace += NEWEST * ((time.monotonic() - began) / max(cost, 1) - self._pace)
        finally:
            if start.done() and not start.cancelled():
                self._running.remove(cost)
                self._begin()

    def expect(self, client: str, cost: float) -> float:
        """The seconds until work of this client would be done, as far as the work before lets one know.

        0 if a place is free.
        """
        if len(self._running) < self._places:
            return 0.0
        last = self._turns.next(client)
        ahead = sum(each for turn, _, each, start in self._waiting if turn <= last and not start.done())
        return self._pace * (sum(self._running) + ahead + cost) / self._places

    def _begin(self) -> None:
        while len(self._running) < self._places and self._waiting:
            turn, _, cost, start = heapq.heappop(self._waiting)
            if not start.done():
                self._running.append(cost)
                self._turns.begin(turn)
                start.set_result(None)


class FairThreads:
    """Threads for the work of clients, who take turns."""

    def __init__(self, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, name)
        self._places = Places(threads)

    async def run(self, client: str, cost: float, work: Callable[..., Result], *arguments: Any) -> Result:
        """Do work in a thread. Work that is cancelled before it begins is dropped."""
        async with self._places.take(client, cost):
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    def close(self) -> None:
        """End the threads after their present work."""
        self._pool.shutdown(wait=True, cancel_futures=True)
