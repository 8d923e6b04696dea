"""The settings of `vaeline serve`, with their defaults."""

from dataclasses import dataclass

from vaeline.errors import VaelineError


@dataclass(frozen=True)
class Settings:
    """Which model is served, and the limits of requests. Times are in seconds.

    reference: a file, a run, `models:/name/version` or `models:/name@alias`.
    interval: the time between two lookups of the reference.
    most_bytes, most_images, most_pixels: the limits of a request.
    batch: the limit of images that are computed together.
    wait: the time that the first request of a batch waits for others.
    queue: the limit of requests in progress, waiting ones included.
    timeout: the limit for a request's body, and again for its answer.
    rate: the requests a second of one client; 0 is no limit.
    burst: the requests of one client before the rate applies.
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
