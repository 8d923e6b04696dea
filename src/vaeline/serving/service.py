"""The steps of a request: rate limit, body, model, answer."""

import asyncio
import math
import os
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import asdict
from typing import Any, TypeVar
from urllib.parse import quote

import numpy as np
from jaxtyping import Float32
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from vaeline.evaluation.inference import batches
from vaeline.images.spec import ImageSpec
from vaeline.pyfunc.answers import Answer, ModelRequest, UnanswerableError
from vaeline.redaction import public_uri
from vaeline.serving.batching import Batcher, DroppedError, NoModelError
from vaeline.serving.follower import Follower, Situation
from vaeline.serving.limits import HeldBytes, RateLimit, client_name, read_body, read_length
from vaeline.serving.metrics import Metrics
from vaeline.serving.payloads import PICTURES, PNG, choose_kind, describe, read_one_picture, write_json, write_sheet
from vaeline.serving.refusal import RefusalError
from vaeline.serving.resolved import Identity
from vaeline.serving.served import Served
from vaeline.serving.settings import Settings
from vaeline.serving.tiled import TiledPicture, TileScores, read_tiled
from vaeline.serving.turns import FairThreads, Places

SMALL_THREADS, SMALL = 2, 131_072
LARGE_AT_ONCE = max(1, (os.cpu_count() or 1) - 1)
"""Requests with more than SMALL bytes are worked on at once. They leave one core to the others, which do not wait."""
STALLED = 3
DELAY = 1.0
"""The seconds before a refusal because of the rate, so that a client that comes back at once cannot fill the time."""
LIKELY = 0.8
"""The part of the time-out within which an answer must be expected: expectations are rough."""
LIMITS = (
    *("most_bytes", "most_images", "most_pixels", "most_elements", "timeout", "head_timeout", "rate", "burst"),
    *("connections", "client_connections"),
)
MOST_MAP_NUMBERS = 2**20  # of a heat map in JSON
Result = TypeVar("Result")
Reader = Callable[[bytes, str, ImageSpec, Settings], Float32[np.ndarray, "count ..."]]


class Service:
    """The parts that all requests share: the follower, the batcher and the limits."""

    def __init__(self, settings: Settings, follower: Follower, metrics: Metrics) -> None:
        self.settings = settings
        self.follower = follower
        self.metrics = metrics
        self._working: Counter[str] = Counter()
        self._held = HeldBytes(settings.bodies * settings.most_bytes)
        self.batcher = Batcher(
            lambda: follower.situation.served, lambda: self.in_work, settings.batch, settings.wait, metrics
        )
        self._rate_limit = RateLimit(settings.rate, settings.burst)
        self._small = FairThreads(SMALL_THREADS, "small")
        self._large = FairThreads(LARGE_AT_ONCE, "large")
        self._large_places = Places(LARGE_AT_ONCE)

    @property
    def in_work(self) -> int:
        """The number of requests in progress whose body is complete."""
        return self._working.total()

    def close(self) -> None:
        """End the threads."""
        self.batcher.close()
        self._small.close()
        self._large.close()

    async def answer(
        self, request: Request, mode: str, read: Reader | None, offered: Sequence[str], pictures: bool, **details: Any
    ) -> Response:
        """The response to a request of this mode.

        read: makes the values of the `ModelRequest` from the body; None if there is no body.
        offered: the media types of the answer.
        pictures: images in JSON are PNGs.
        details: the other fields of the `ModelRequest`.

        Raises:
            RefusalError: the request gets no answer.
        """
        client = await self._admit(request)
        kind = choose_kind(request.headers.get("accept", ""), offered)
        async with self._body(request, client, read is not None) as body:
            with self._at_work(client):
                async with self._in_time(), self._place(client, len(body)):
                    identity, found = await self._find(request, client, body, mode, read, pictures, details)
                    size = sum(values.nbytes for values in found.values())
                    if kind == PNG:
                        content = await self._in_thread(client, size, write_sheet, identity, found["images"])
                    else:
                        content = await self._in_thread(client, size, write_json, identity, found, pictures)
        return Response(content, media_type=kind, headers=name_headers(identity))

    async def show_input(self, request: Request) -> Response:
        """A picture as the model gets it, as a PNG. Raises RefusalError."""
        client = await self._admit(request)
        choose_kind(request.headers.get("accept", ""), (PNG,))
        async with self._body(request, client) as body:
            with self._at_work(client):
                async with self._in_time(), self._place(client, len(body)):
                    served = self._served()
                    images = await self._parse(read_one_picture, request, client, body, served.model.image)
                    content = await self._in_thread(client, images.nbytes, write_sheet, served.identity, images)
        return Response(content, media_type=PNG, headers=name_headers(served.identity))

    def state(self, situation: Situation) -> dict[str, Any]:
        """Whether a model answers, which one, and whether it is the one that the reference names."""
        served, trouble = situation.served, situation.trouble
        return {
            "ready": served is not None and not self.batcher.stalls(STALLED * self.settings.timeout),
            "model": describe(served.identity) if served else None,
            "following": public_uri(self.follower.reference),
            "up_to_date": served is not None and trouble is None,
            "trouble": trouble.sentence if trouble else None,
            "refused": describe(trouble.refused) if trouble and trouble.refused else None,
        }

    def about(self, situation: Situation) -> dict[str, Any]:
        """`state`, the limits of a request, and the description of the model."""
        limits = {name: getattr(self.settings, name) for name in LIMITS}
        about = {**self.state(situation), "limits": limits}
        return about | describe_served(situation.served) if situation.served else about

    async def _admit(self, request: Request) -> str:
        """The client of a request, if its rate allows the request. A refusal is delayed: it costs more than waiting."""
        client = client_name(request.client.host if request.client else None)
        try:
            self._rate_limit.take(client)
        except RefusalError:
            await asyncio.sleep(DELAY)
            raise
        return client

    def _check_wait(self, seconds: float) -> None:
        """Refuse a request whose answer is not expected in time."""
        late = seconds - LIKELY * self.settings.timeout
        if late > 0:
            sentence = f"the answer is expected in {seconds:.0f} seconds, later than the time-out; try again later"
            raise RefusalError(503, sentence, retry_after=math.ceil(late))

    def _place(self, client: str, size: int) -> AbstractAsyncContextManager[None]:
        """A place among the large requests, for a request that is large."""
        return self._large_places.take(client, size) if size > SMALL else nullcontext()

    @contextmanager
    def _at_work(self, client: str) -> Generator[None]:
        """Count a request. A full queue drops the last request of the client that has most, if it has more."""
        if self.in_work >= self.settings.queue and not self._make_place(client):
            raise self._queue_full()
        self._working[client] += 1
        self.metrics.in_work.set(self.in_work)
        try:
            yield
        finally:
            self._working[client] -= 1
            if not self._working[client]:
                del self._working[client]
            self.metrics.in_work.set(self.in_work)

    def _make_place(self, client: str) -> bool:
        ((busiest, requests),) = self._working.most_common(1)
        return requests > self._working[client] + 1 and self.batcher.drop_from(busiest)

    def _queue_full(self) -> RefusalError:
        return RefusalError(503, f"{self.in_work} requests are waiting already; try again later", retry_after=1)

    @asynccontextmanager
    async def _body(self, request: Request, client: str, has_body: bool = True) -> AsyncGenerator[bytes]:
        """The body of a request, whose bytes are held until its answer is written."""
        self._check_wait(self.batcher.expect(client))
        if not has_body:
            yield b""
            return
        declared, settings = request.headers.get("content-length"), self.settings
        length = read_length(declared)
        size = settings.most_bytes if length is None else min(length, settings.most_bytes)
        if size > SMALL:
            self._check_wait(self._large_places.expect(client, size))
        with self._held.hold(client, size):
            try:
                body = await read_body(request.stream(), declared, settings.most_bytes, settings.timeout)
            except ClientDisconnect:
                raise RefusalError(400, "the connection was closed before the body was complete") from None
            yield body

    def _served(self) -> Served:
        served = self.follower.situation.served
        if served is None:
            raise self._no_model()
        return served

    async def _find(
        self,
        request: Request,
        client: str,
        body: bytes,
        mode: str,
        read: Reader | None,
        pictures: bool,
        details: dict[str, Any],
    ) -> tuple[Identity, Answer]:
        if read:
            image = self._served().model.image
            if mode == "score" and image.tile and media_type(request) in PICTURES:
                picture = await self._parse(read_tiled, request, client, body, image)
                return await self._score_tiles(picture, client, pictures, details)
            details["values"] = await self._parse(read, request, client, body, image)
        return await self._submit(ModelRequest(mode, **details), client)

    async def _score_tiles(
        self, picture: TiledPicture, client: str, pictures: bool, details: dict[str, Any]
    ) -> tuple[Identity, Answer]:
        """The scores of a whole picture, whose tiles are submitted one batch after the other."""
        if details["maps"] and not pictures and math.prod(picture.size) > MOST_MAP_NUMBERS:
            numbers = f"{math.prod(picture.size):,} numbers"
            raise RefusalError(422, f"the heat map has {numbers}, at most {MOST_MAP_NUMBERS:,} are sent; use map=png")
        scores, identities = TileScores(picture), set()
        for part in batches(len(picture.places), self.settings.batch):
            identity, found = await self._submit(ModelRequest("score", picture.tiles(part), **details), client)
            identities.add(identity)
            scores.add(found, part)
        if len(identities) > 1:
            raise RefusalError(503, "the model was replaced while the picture was scored; send it again", retry_after=1)
        return identities.pop(), await self._in_thread(client, math.prod(picture.size), scores.answer)

    async def _parse(
        self, read: Callable[..., Result], request: Request, client: str, body: bytes, image: ImageSpec
    ) -> Result:
        return await self._in_thread(client, len(body), read, body, media_type(request), image, self.settings)

    async def _submit(self, request: ModelRequest, client: str) -> tuple[Identity, Answer]:
        self._check_wait(self.batcher.expect(client, request))
        try:
            answered = await self.batcher.submit(request, client)
        except DroppedError:
            raise self._queue_full() from None
        except NoModelError:
            raise self._no_model() from None
        if isinstance(answered.found, UnanswerableError):
            raise RefusalError(422, str(answered.found), answered.identity)
        if isinstance(answered.found, Exception):
            raise RefusalError(500, "the model failed on this request; the server's log says why", answered.identity)
        return answered.identity, answered.found

    @asynccontextmanager
    async def _in_time(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(self.settings.timeout):
                yield
        except TimeoutError:
            sentence = f"there was no answer within {self.settings.timeout:g} seconds"
            raise RefusalError(504, sentence, retry_after=1) from None

    async def _in_thread(self, client: str, size: int, work: Callable[..., Result], *arguments: Any) -> Result:
        """Do slow work on so many bytes in another thread, so that this thread can take other requests."""
        threads = self._small if size <= SMALL else self._large
        return await threads.run(client, size, work, *arguments)

    def _no_model(self) -> RefusalError:
        trouble = self.follower.situation.trouble
        why = trouble.sentence if trouble else f"{public_uri(self.follower.reference)} is being loaded"
        return RefusalError(503, f"there is no model yet: {why}", retry_after=1)


def media_type(request: Request) -> str:
    """The media type of a request's body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def describe_served(served: Served) -> dict[str, Any]:
    """The description of a model: what it can do, the checks that it passed, and the effect of its latents."""
    model = served.model
    return {
        "since": served.since.isoformat(timespec="seconds"),
        "checks": list(served.checks),
        "title": model.title,
        "kind": model.params.kind,
        "image": model.image.model_dump(),
        "ink": model.image.is_ink,
        "latent_dim": model.latent_dim,
        "label_dim": model.label_dim,
        "classes": model.classes,
        "is_conditional": model.is_conditional,
        "has_codes": model.has_codes,
        "has_bound": model.has_bound,
        "axes": [asdict(axis) for axis in served.axes],
        "figures": served.figures,
    }


def name_headers(identity: Identity) -> dict[str, str]:
    """The headers that name a model."""
    return {"Vaeline-Model": quote(identity.uri, safe=":/@ "), "Vaeline-Digest": identity.digest}
