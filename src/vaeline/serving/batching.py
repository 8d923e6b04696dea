"""Batches: requests that arrive together are computed together, in the one thread that runs the model."""

import asyncio
import bisect
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from vaeline.pyfunc.answers import Answer, ModelRequest, answer_all
from vaeline.serving.heat_maps import add_heat_maps
from vaeline.serving.metrics import Metrics
from vaeline.serving.resolved import Identity
from vaeline.serving.served import Served
from vaeline.serving.turns import NEWEST, Turns

log = logging.getLogger("vaeline.serve")


class NoModelError(Exception):
    """No model is loaded yet."""


class DroppedError(Exception):
    """The request made place in a full queue for a client with fewer requests."""


@dataclass(frozen=True)
class Answered:
    """An answer, or the error instead of it, and the identity of the model."""

    identity: Identity
    found: Answer | Exception


@dataclass(frozen=True, eq=False)
class _Job:
    request: ModelRequest
    client: str
    turn: float
    future: asyncio.Future
    arrived: float


class Batcher:
    """Collects requests with one batch key until they are `batch` images, or the first has waited `wait` seconds.

    in_work: gives the number of requests in progress. If all of them wait here already, the batch starts at once.

    Clients take turns. A client with many images therefore does not delay one with few.

    A request is never divided. One model answers a whole batch: the model that is current when its computation begins.
    """

    def __init__(
        self,
        current: Callable[[], Served | None],
        in_work: Callable[[], int],
        batch: int,
        wait: float,
        metrics: Metrics,
    ) -> None:
        self._current = current
        self._in_work = in_work
        self._batch = batch
        self._wait = wait
        self._metrics = metrics
        self._jobs: list[_Job] = []
        self._arrival = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "model")
        self._busy_since: float | None = None
        self._busy_until = 0.0
        self._turns = Turns()
        self._paces: dict[str, float] = {}

    async def submit(self, request: ModelRequest, client: str = "") -> Answered:
        """The answer to a request. A request that is cancelled before its computation is dropped.

        The answer is from one model, which it names.

        Raises:
            NoModelError: no model is loaded yet.
            DroppedError: the request was dropped.
        """
        turn = self._turns.take(client, request.size)
        job = _Job(request, client, turn, asyncio.get_running_loop().create_future(), time.monotonic())
        bisect.insort(self._jobs, job, key=lambda each: each.turn)
        self._arrival.set()
        try:
            return await job.future
        finally:
            if job in self._jobs:
                self._jobs.remove(job)

    async def work(self) -> None:
        """Answer submitted requests until the task is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            jobs = await self._next()
            mode, batches = jobs[0].request.mode, self._batches(sum(job.request.size for job in jobs))
            self._busy_since = began = time.monotonic()
            self._busy_until = began + self._paces.get(mode, 0.0) * batches
            try:
                answers = await loop.run_in_executor(self._thread, self._compute, [job.request for job in jobs])
            except Exception as error:
                answers = [error] * len(jobs)
            self._busy_since = None
            pace = (time.monotonic() - began) / batches
            self._paces[mode] = pace + (1 - NEWEST) * (self._paces.get(mode, pace) - pace)
            for job, answered in zip(jobs, answers, strict=True):
                if job.future.done():
                    continue
                if isinstance(answered, Exception):
                    job.future.set_exception(answered)
                else:
                    job.future.set_result(answered)

    def expect(self, client: str, request: ModelRequest | None = None) -> float:
        """The seconds until the answer to a request of this client, as far as the batches before let one know.

        0 if no other request is ahead. Without `request`: the seconds until its computation would begin.
        """
        turn, images = self._turns.next(client), defaultdict[tuple, int](int)
        for job in self._jobs:
            if job.turn <= turn:
                images[job.request.batch_key] += job.request.size
        if not images and self._busy_since is None:
            return 0.0
        if request:
            images[request.batch_key] += request.size
        waiting = sum(self._paces.get(str(key[0]), 0.0) * self._batches(count) for key, count in images.items())
        return waiting + max(0.0, self._busy_until - time.monotonic()) * (self._busy_since is not None)

    def drop_from(self, client: str) -> bool:
        """Drop the last waiting request of a client; False if none waits."""
        job = next((job for job in reversed(self._jobs) if job.client == client and not job.future.done()), None)
        if job is not None:
            self._jobs.remove(job)
            job.future.set_exception(DroppedError())
        return job is not None

    def stalls(self, seconds: float) -> bool:
        """Whether the present batch has been computed for more than `seconds`."""
        return self._busy_since is not None and time.monotonic() - self._busy_since > seconds

    def close(self) -> None:
        """End the thread after its present batch."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _next(self) -> list[_Job]:
        """The next batch: the request whose turn it is, and requests with its batch key that follow."""
        while True:
            self._arrival.clear()
            if not self._jobs:
                await self._arrival.wait()
                continue
            batch = self._jobs_like_first()
            left = self._jobs[0].arrived + self._wait - time.monotonic()
            full = sum(job.request.size for job in batch) >= self._batch
            if full or left <= 0 or self._in_work() <= len(self._jobs):
                self._jobs = [job for job in self._jobs if job not in batch]
                self._turns.begin(batch[0].turn)
                return batch
            try:
                await asyncio.wait_for(self._arrival.wait(), left)
            except TimeoutError:
                continue

    def _batches(self, images: int) -> float:
        """The number of full batches that take as long. A batch that is not full takes nearly as long as a full one."""
        return max(1.0, images / self._batch)

    def _jobs_like_first(self) -> list[_Job]:
        first = self._jobs[0]
        taken, images = [first], first.request.size
        for job in self._jobs[1:]:
            if job.request.batch_key == first.request.batch_key and images + job.request.size <= self._batch:
                taken.append(job)
                images += job.request.size
        return taken

    def _compute(self, requests: list[ModelRequest]) -> list[Answered]:
        served = self._current()
        if served is None:
            raise NoModelError
        mode = requests[0].mode
        self._metrics.batch_images.labels(mode).observe(sum(request.size for request in requests))
        self._metrics.batch_requests.labels(mode).observe(len(requests))
        return [Answered(served.identity, found) for found in _answers(served, requests)]


def _answers(served: Served, requests: list[ModelRequest]) -> Sequence[Answer | Exception]:
    """The model's answers to a batch. If the batch fails, each request is computed alone, so that only one fails."""
    try:
        found = answer_all(served.model, requests)
        return add_heat_maps(served.model, served.heat_maps, requests, found) if requests[0].maps else found
    except Exception as error:
        log.exception("%s failed on %s requests of mode %s", served.identity.uri, len(requests), requests[0].mode)
        if len(requests) == 1:
            return [error]
        return [found for request in requests for found in _answers(served, [request])]
