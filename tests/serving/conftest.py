import asyncio
import base64
import io
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Self

import httpx
import numpy as np
import pytest
from PIL import Image

from vaeline.data.image_sets import ImageSet
from vaeline.defects.pictures import PictureSet
from vaeline.defects.reference import HeatMapReference, fit_heat_map_reference
from vaeline.models.generative import GenerativeModel
from vaeline.params.whole import Params
from vaeline.serving.app import build_app
from vaeline.serving.follower import Follower
from vaeline.serving.metrics import Metrics
from vaeline.serving.resolved import Identity, ResolvedModel
from vaeline.serving.settings import Settings

Scenario = Callable[[httpx.AsyncClient], Awaitable[Any]]
NEVER = 3600.0
PATIENCE = 120.0
CHAMPION = "models:/vae-digits@champion"


def identity(version: int) -> Identity:
    return Identity(f"models:/vae-digits/{version}", f"{version:064x}", "vae-digits", str(version))


class Shelf:
    """What stands for a registry: the version that the alias names, and what happens when it is loaded."""

    def __init__(self, model: GenerativeModel, heat_maps: HeatMapReference | None = None):
        self.version = 1
        self.models: dict[int, GenerativeModel | Exception] = {1: model}
        self.golden: dict[int, dict] = {}
        self.heat_maps = heat_maps
        self.tags = {"test.neg_elbo": "150.5"}
        self.trouble: Exception | None = None

    def look_up(self, reference: str) -> ResolvedModel:
        if self.trouble:
            raise self.trouble
        version = self.version
        return ResolvedModel(
            identity(version),
            lambda: self._load(version),
            lambda: self.golden.get(version),
            self.tags,
            lambda: self.heat_maps,
        )

    def _load(self, version: int) -> GenerativeModel:
        found = self.models[version]
        if isinstance(found, Exception):
            raise found
        return found


def fit_heat_maps(model: GenerativeModel, digits: ImageSet, params: Params) -> HeatMapReference:
    """A reference of a model's heat maps, from forty digits."""
    return fit_heat_map_reference(model, "a" * 64, PictureSet(digits.images[100:140]), {}, params.evaluate)


class Host:
    """A running application around a shelf, in this process; it has looked once."""

    def __init__(self, shelf: Shelf, **settings: Any):
        self.metrics = Metrics()
        self.follower = Follower(CHAMPION, NEVER, self.metrics, shelf.look_up)
        self.app = build_app(
            Settings(CHAMPION, **{"rate": 0.0, "timeout": PATIENCE, **settings}), self.follower, self.metrics
        )
        self.service = self.app.state.service
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self.follower.look()
        self._life = self.app.router.lifespan_context(self.app)
        self._runner.run(self._life.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._life.__aexit__(None, None, None))
        self._runner.close()

    def run(self, scenario: Scenario, address: str = "127.0.0.1") -> Any:
        """What `scenario` makes of a client with this address."""

        async def play():
            transport = httpx.ASGITransport(self.app, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await scenario(client)

        return self._runner.run(play())

    def ask(self, method: str, url: str, **arguments: Any) -> httpx.Response:
        """One request and its response."""
        return self.run(lambda client: client.request(method, url, **arguments))

    def sample(self, name: str, **labels: str) -> float | None:
        """A number that Prometheus is told."""
        return self.metrics.registry.get_sample_value(name, labels)


def png(image: np.ndarray) -> bytes:
    """An image as PNG: greys in [0, 1], or bytes."""
    stream = io.BytesIO()
    levels = image if image.dtype == np.uint8 else np.rint(image * 255).astype("uint8")
    Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels).save(stream, "PNG")
    return stream.getvalue()


def read_png(content: bytes | str) -> np.ndarray:
    """The greys of a PNG, or of one in base64."""
    with Image.open(io.BytesIO(base64.b64decode(content) if isinstance(content, str) else content)) as picture:
        return np.asarray(picture) / 255


@pytest.fixture
def shelf(small_model) -> Shelf:
    return Shelf(small_model)


@pytest.fixture(scope="module")
def host(small_model) -> Iterator[Host]:
    """A service of the small model, shared by the tests of a module."""
    with Host(Shelf(small_model)) as running:
        yield running
