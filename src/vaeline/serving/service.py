"""The steps of a request: rate limit, body, model, answer."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
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
from vaeline.serving.batching import Batcher, NoModelError
from vaeline.serving.follower import Follower, Situation
from vaeline.serving.limits import RateLimit, client_name, read_body
from vaeline.serving.metrics import Metrics
from vaeline.serving.payloads import PICTURES, PNG, choose_kind, describe, read_one_picture, write_json, write_sheet
from vaeline.serving.refusal import RefusalError
from vaeline.serving.resolved import Identity
from vaeline.serving.served import Served
from vaeline.serving.settings import Settings
from vaeline.serving.tiled import TiledPicture, TileScores, read_tiled

READERS = 2
STALLED = 3
LIMITS = ("most_bytes", "most_images", "most_pixels", "timeout", "rate", "burst")
MOST_MAP_NUMBERS = 2**20  # of a heat map in JSON
Result = TypeVar("Result")
Reader = Callable[[bytes, str, ImageSpec, Settings], Float32[np.ndarray, "count ..."]]


class Service:
    """The parts that all requests share: the follower, the batcher and the limits."""

    def __init__(self, settings: Settings, follower: Follower, metrics: Metrics) -> None:
        self.settings = settings
        self.follower = follower
        self.metrics = metrics
        self.in_work = 0
        self.batcher = Batcher(
            lambda: follower.situation.served, lambda: self.in_work, settings.batch, settings.wait, metrics
        )
        self._rate_limit = RateLimit(settings.rate, settings.burst)
        self._readers = ThreadPoolExecutor(READERS, "reader")

    def close(self) -> None:
        """End the threads."""
        self.batcher.close()
        self._readers.shutdown(wait=True, cancel_futures=True)

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
        self._rate_limit.take(client_name(request.client.host if request.client else None))
        kind = choose_kind(request.headers.get("accept", ""), offered)
        with self._working():
            body = await self._read(request) if read else b""
            async with self._in_time():
                identity, found = await self._find(request, body, mode, read, pictures, details)
                if kind == PNG:
                    content = await self._in_thread(write_sheet, identity, found["images"])
                else:
                    content = await self._in_thread(write_json, identity, found, pictures)
        return Response(content, media_type=kind, headers=name_headers(identity))

    async def show_input(self, request: Request) -> Response:
        """A picture as the model gets it, as a PNG. Raises RefusalError."""
        self._rate_limit.take(client_name(request.client.host if request.client else None))
        choose_kind(request.headers.get("accept", ""), (PNG,))
        with self._working():
            body = await self._read(request)
            async with self._in_time():
                served = self._served()
                images = await self._parse(read_one_picture, request, body, served.model.image)
                content = await self._in_thread(write_sheet, served.identity, images)
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

    @contextmanager
    def _working(self) -> Generator[None]:
        if self.in_work >= self.settings.queue:
            raise RefusalError(503, f"{self.in_work} requests are waiting already; try again later", retry_after=1)
        self.in_work += 1
        self.metrics.in_work.set(self.in_work)
        try:
            yield
        finally:
            self.in_work -= 1
            self.metrics.in_work.set(self.in_work)

    async def _read(self, request: Request) -> bytes:
        declared, settings = request.headers.get("content-length"), self.settings
        try:
            return await read_body(request.stream(), declared, settings.most_bytes, settings.timeout)
        except ClientDisconnect:
            raise RefusalError(400, "the connection was closed before the body was complete") from None

    def _served(self) -> Served:
        served = self.follower.situation.served
        if served is None:
            raise self._no_model()
        return served

    async def _find(
        self, request: Request, body: bytes, mode: str, read: Reader | None, pictures: bool, details: dict[str, Any]
    ) -> tuple[Identity, Answer]:
        if read:
            image = self._served().model.image
            if mode == "score" and image.tile and media_type(request) in PICTURES:
                picture = await self._parse(read_tiled, request, body, image)
                return await self._score_tiles(picture, pictures, details)
            details["values"] = await self._parse(read, request, body, image)
        return await self._submit(ModelRequest(mode, **details))

    async def _score_tiles(
        self, picture: TiledPicture, pictures: bool, details: dict[str, Any]
    ) -> tuple[Identity, Answer]:
        """The scores of a whole picture, whose tiles are submitted one batch after the other."""
        if details["maps"] and not pictures and math.prod(picture.size) > MOST_MAP_NUMBERS:
            numbers = f"{math.prod(picture.size):,} numbers"
            raise RefusalError(422, f"the heat map has {numbers}, at most {MOST_MAP_NUMBERS:,} are sent; use map=png")
        scores, identities = TileScores(picture), set()
        for part in batches(len(picture.places), self.settings.batch):
            identity, found = await self._submit(ModelRequest("score", picture.tiles(part), **details))
            identities.add(identity)
            scores.add(found, part)
        if len(identities) > 1:
            raise RefusalError(503, "the model was replaced while the picture was scored; send it again", retry_after=1)
        return identities.pop(), await self._in_thread(scores.answer)

    async def _parse(self, read: Callable[..., Result], request: Request, body: bytes, image: ImageSpec) -> Result:
        return await self._in_thread(read, body, media_type(request), image, self.settings)

    async def _submit(self, request: ModelRequest) -> tuple[Identity, Answer]:
        try:
            answered = await self.batcher.submit(request)
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

    async def _in_thread(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Do slow work in another thread, so that this thread can take other requests."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, *arguments)

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
