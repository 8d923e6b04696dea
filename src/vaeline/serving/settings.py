"""The settings of `vaeline serve`, with their defaults."""

from dataclasses import dataclass

from vaeline.errors import VaelineError


@dataclass(frozen=True)
class Settings:
    """Which model is served, and what clients may ask for. Times are in seconds.

    reference: a file, a run, `models:/name/version` or `models:/name@alias`; interval: between two looks at it.
    most_bytes, most_images, most_pixels: of a request. batch: images that are computed together at most; wait: how long
    the first of them waits for company. queue: requests that are in work or wait at once. timeout: for the whole of a
    request's body, and again for its answer. rate: requests a second from one client, 0 for any number, once the first
    `burst` are used up.
    """

    reference: str
    interval: float = 5.0
    most_bytes: int = 4_000_000
    most_images: int = 256
    most_pixels: int = 16_000_000
    batch: int = 64
    wait: float = 0.002
    queue: int = 256
    timeout: float = 10.0
    rate: float = 100.0
    burst: int = 200

    def __post_init__(self):
        for name in ("interval", "most_bytes", "most_images", "most_pixels", "batch", "queue", "timeout", "burst"):
            if not getattr(self, name) > 0:
                raise VaelineError(f"serve: {name.replace('_', '-')} must be above 0, got {getattr(self, name)}")
