"""The HTTP interface: paths, parameters and errors."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vaeline.pyfunc.answers import ANY_LABEL, MOST_SEED, MOST_TEMPERATURE
from vaeline.serving import schema
from vaeline.serving.follower import Follower
from vaeline.serving.hosts import is_allowed
from vaeline.serving.metrics import Metrics
from vaeline.serving.payloads import JSON, PNG, describe, read_images, read_latents
from vaeline.serving.refusal import RefusalError
from vaeline.serving.service import Service, name_headers
from vaeline.serving.settings import Settings

PAGE = Path(__file__).parent / "page"
MODEL_PATHS = ("/reconstruct", "/encode", "/decode", "/sample", "/score")
COUNTED = {*MODEL_PATHS, "/fit", "/", "/docs", "/openapi.json", "/healthz", "/readyz", "/version", "/metrics"}
MOST_LABEL = 9999
SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
]
log = logging.getLogger("vaeline.serve")
router = APIRouter()


def running_service(request: Request) -> Service:
    """The service of the application."""
    return request.app.state.service


Running = Annotated[Service, Depends(running_service)]
Label = Annotated[
    int, Query(ge=ANY_LABEL, le=MOST_LABEL, description="The class number of the images; -1: no class is given.")
]
Seed = Annotated[int, Query(ge=0, le=MOST_SEED, description="The random seed. The same seed gives the same answer.")]
Form = Annotated[Literal["greys", "png"], Query(description="Images in JSON: as numbers, or as PNGs in base64.")]
MapForm = Annotated[
    Literal["none", "numbers", "png"], Query(description="Heat maps of the images: as numbers, or as PNGs in base64.")
]
PNG_EXAMPLE = {"png": [schema.example_picture()]}


@router.post(
    "/reconstruct",
    tags=["model"],
    summary="Reconstruct images",
    openapi_extra=schema.image_body(),
    **schema.describe_images(schema.Images, PNG_EXAMPLE),
)
async def reconstruct(request: Request, service: Running, label: Label = ANY_LABEL, images: Form = "greys") -> Response:
    """Encode images and decode their latents."""
    return await service.answer(request, "reconstruct", read_images, (JSON, PNG), images == "png", label=label)


@router.post(
    "/encode",
    tags=["model"],
    summary="Encode images",
    openapi_extra=schema.image_body(),
    **schema.describe_numbers(schema.Latents, {"z_mean": [[0.41, -1.32]], "z_log_var": [[-4.1, -3.8]]}),
)
async def encode(request: Request, service: Running, label: Label = ANY_LABEL) -> Response:
    """The mean and the logarithm of the variance of q(z|x) for each image."""
    return await service.answer(request, "encode", read_images, (JSON,), False, label=label)


@router.post(
    "/decode",
    tags=["model"],
    summary="Decode latents",
    openapi_extra=schema.latent_body(),
    **schema.describe_images(schema.Images, PNG_EXAMPLE),
)
async def decode(request: Request, service: Running, images: Form = "greys") -> Response:
    """The expected image of each vector of latents."""
    return await service.answer(request, "decode", read_latents, (JSON, PNG), images == "png")


@router.get(
    "/sample",
    tags=["model"],
    summary="Draw new images",
    **schema.describe_images(schema.Images, PNG_EXAMPLE, body=False),
)
async def sample(
    request: Request,
    service: Running,
    n: Annotated[int, Query(ge=1, description="Number of images; at most limits.most_images of /version.")] = 1,
    seed: Seed = 1,
    temperature: Annotated[
        float, Query(ge=0, le=MOST_TEMPERATURE, description="The factor on the noise of the prior.")
    ] = 1.0,
    label: Label = ANY_LABEL,
    images: Form = "greys",
) -> Response:
    """The expected images of latents that are drawn from the prior."""
    if n > service.settings.most_images:
        raise RefusalError(422, f"n: should be at most {service.settings.most_images}")
    details = {"count": n, "seed": seed, "temperature": temperature, "label": label}
    return await service.answer(request, "sample", None, (JSON, PNG), images == "png", **details)


@router.post(
    "/score",
    tags=["model"],
    summary="Score how unusual images are",
    openapi_extra=schema.image_body(),
    **schema.describe_numbers(
        schema.Scores, {"neg_elbo": [151.2], "reconstruction": [145.1], "kl": [6.1], "mse": [0.021]}
    ),
)
async def score(
    request: Request, service: Running, seed: Seed = 1, label: Label = ANY_LABEL, map: MapForm = "none"
) -> Response:
    """−ELBO and its parts for each image, in nats, with one draw of z. With `map`, also where images are unusual."""
    details = {"seed": seed, "label": label, "maps": map != "none"}
    return await service.answer(request, "score", read_images, (JSON,), map == "png", **details)


@router.post(
    "/fit",
    tags=["model"],
    summary="Fit a picture into the size of the model's images",
    openapi_extra=schema.picture_body(),
    response_class=Response,
    **schema.describe_picture(),
)
async def fit(request: Request, service: Running) -> Response:
    """The picture as the model gets it, as a PNG: in its size, with its channels and its background."""
    return await service.show_input(request)


@router.get("/healthz", tags=["operation"], summary="Whether the process runs")
async def healthz() -> dict[str, bool]:
    """Always true. If the process does not run, there is no answer."""
    return {"alive": True}


@router.get(
    "/readyz",
    tags=["operation"],
    summary="Whether a model answers",
    response_model=schema.State,
    responses={503: {"description": "No model is loaded, or its computation has stalled.", "model": schema.State}},
)
async def readyz(service: Running) -> Response:
    """The service is also ready with an old model. `trouble` then says why the new one does not answer."""
    state = service.state(service.follower.situation)
    return JSONResponse(state, 200 if state["ready"] else 503)


@router.get("/version", tags=["operation"], summary="Which model answers")
async def version(service: Running) -> Response:
    """The model, the checks that it passed, the effect of its latents, and the limits of a request."""
    situation = service.follower.situation
    headers = name_headers(situation.served.identity) if situation.served else None
    return JSONResponse(service.about(situation), headers=headers)


@router.get("/metrics", tags=["operation"], summary="Metrics for Prometheus", response_class=PlainTextResponse)
async def metrics(service: Running) -> Response:
    """Requests, times, batches, the model, changes of the model and failed loads."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/", include_in_schema=False)
async def index() -> Response:
    """The page for trying the model."""
    return FileResponse(PAGE / "index.html")


@router.get("/docs", include_in_schema=False)
async def docs() -> Response:
    """The page that shows /openapi.json. FastAPI's own page would need the internet."""
    return FileResponse(PAGE / "docs.html")


def build_app(settings: Settings, follower: Follower, metrics: Metrics) -> FastAPI:
    """The application. While it runs, the follower checks for a new model and the batcher computes answers."""
    service = Service(settings, follower, metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        follower.start()
        working = asyncio.create_task(service.batcher.work())
        yield
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        service.close()
        follower.stop()

    app = FastAPI(
        title="vaeline",
        version="1",
        description=schema.DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.service = service
    app.include_router(router)
    app.mount("/page", StaticFiles(directory=PAGE))
    app.exception_handler(RefusalError)(_refuse)
    app.exception_handler(RequestValidationError)(_refuse_parameters)
    app.exception_handler(HTTPException)(_refuse_path)
    app.add_middleware(HostCheck, allowed=settings.allowed_hosts)
    app.add_middleware(Observer, metrics=metrics)
    return app


class HostCheck:
    """Refuses a request whose Host header names another host than this one."""

    def __init__(self, app: ASGIApp, allowed: tuple[str, ...]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = [value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"host"]
        if scope["type"] != "http" or all(is_allowed(host, self._allowed) for host in named):
            await self._app(scope, receive, send)
            return
        sentence = "this service does not answer under the host name of the request; see `vaeline serve --allowed-host`"
        await _failure(400, sentence)(scope, receive, send)


class Observer:
    """Counts and times every request, adds security headers, and answers 500 after an unexpected error."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *SECURITY]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"][:100])
            if not status:
                await _failure(500, "this request failed; the server's log says why")(scope, receive, watched)
        finally:
            endpoint = scope["path"] if scope["path"] in COUNTED else "other"
            self._metrics.requests.labels(endpoint, status).inc()
            self._metrics.seconds.labels(endpoint).observe(time.perf_counter() - began)


async def _refuse(request: Request, error: RefusalError) -> Response:
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    if error.identity:
        headers |= name_headers(error.identity)
    return _failure(error.status, str(error), describe(error.identity) if error.identity else None, headers)


async def _refuse_parameters(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    sentence = first["msg"].removeprefix("Input ")
    return _failure(422, f"{first['loc'][-1]}: {sentence}"[:200])


async def _refuse_path(request: Request, error: HTTPException) -> Response:
    sentences = {404: "there is no such path; /docs lists all paths", 405: "this path takes another method; see /docs"}
    return _failure(error.status_code, sentences.get(error.status_code, str(error.detail)), headers=error.headers)


def _failure(status: int, sentence: str, model: dict[str, Any] | None = None, headers: Any = None) -> JSONResponse:
    content = {"error": sentence, "status": status}
    return JSONResponse(content | {"model": model} if model else content, status, headers)
