"""Requests that arrive together are computed together, in the one thread that runs the model."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from vaeline.pyfunc.answers import Answer, Ask, answer_all
from vaeline.serving.metrics import Metrics
from vaeline.serving.resolved import Identity
from vaeline.serving.served import Served

log = logging.getLogger("vaeline.serve")


class NoModelError(Exception):
    """There is no model yet."""


@dataclass(frozen=True)
class Answered:
    """An answer, or why there is none, and the one model that it is from."""

    identity: Identity
    found: Answer | Exception


@dataclass(frozen=True, eq=False)
class _Job:
    ask: Ask
    future: asyncio.Future
    arrived: float


class Batcher:
    """Collects requests with one batch key until they are `batch` images, or the first has waited `wait` seconds.

    Where no more of the requests in work can join, there is no wait. A request is never divided, and all of a batch is
    answered by the model that is current when its computing begins.
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

    async def submit(self, ask: Ask) -> Answered:
        """The answer to `ask`. Raises NoModelError. A cancelled one that has not begun is dropped."""
        job = _Job(ask, asyncio.get_running_loop().create_future(), time.monotonic())
        self._jobs.append(job)
        self._arrival.set()
        try:
            return await job.future
        finally:
            if job in self._jobs:
                self._jobs.remove(job)

    async def work(self) -> None:
        """Answer what is submitted, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            jobs = await self._next()
            self._busy_since = time.monotonic()
            try:
                answers = await loop.run_in_executor(self._thread, self._compute, [job.ask for job in jobs])
            except Exception as error:
                answers = [error] * len(jobs)
            self._busy_since = None
            for job, answered in zip(jobs, answers, strict=True):
                if job.future.done():
                    continue
                if isinstance(answered, Exception):
                    job.future.set_exception(answered)
                else:
                    job.future.set_result(answered)

    def stalls(self, seconds: float) -> bool:
        """Whether one batch has been computed for longer than that."""
        return self._busy_since is not None and time.monotonic() - self._busy_since > seconds

    def close(self) -> None:
        """Give the thread back, once it has ended what it is at."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _next(self) -> list[_Job]:
        """The oldest request, with all requests of its batch key that have come since, or come while it waits."""
        while True:
            self._arrival.clear()
            if not self._jobs:
                await self._arrival.wait()
                continue
            batch = self._jobs_like_oldest()
            left = self._jobs[0].arrived + self._wait - time.monotonic()
            full = sum(job.ask.size for job in batch) >= self._batch
            if full or left <= 0 or self._in_work() <= len(self._jobs):
                self._jobs = [job for job in self._jobs if job not in batch]
                return batch
            try:
                await asyncio.wait_for(self._arrival.wait(), left)
            except TimeoutError:
                continue

    def _jobs_like_oldest(self) -> list[_Job]:
        first = self._jobs[0]
        taken, images = [first], first.ask.size
        for job in self._jobs[1:]:
            if job.ask.batch_key == first.ask.batch_key and images + job.ask.size <= self._batch:
                taken.append(job)
                images += job.ask.size
        return taken

    def _compute(self, asks: list[Ask]) -> list[Answered]:
        served = self._current()
        if served is None:
            raise NoModelError
        mode = asks[0].mode
        self._metrics.batch_images.labels(mode).observe(sum(ask.size for ask in asks))
        self._metrics.batch_requests.labels(mode).observe(len(asks))
        return [Answered(served.identity, found) for found in _answers(served, asks)]


def _answers(served: Served, asks: list[Ask]) -> Sequence[Answer | Exception]:
    """What the model answers; where it fails at them together, each alone, so that one cannot spoil the others'."""
    try:
        return answer_all(served.model, asks)
    except Exception as error:
        log.exception("%s failed at %s requests of %s", served.identity.uri, len(asks), asks[0].mode)
        return [error] if len(asks) == 1 else [found for ask in asks for found in _answers(served, [ask])]
