"""The settings of `vaeline serve`, with their defaults."""

from dataclasses import dataclass

from vaeline.errors import VaelineError

POSITIVE = (
    *("interval", "most_bytes", "most_images", "most_pixels", "most_elements", "batch", "queue", "timeout"),
    *("head_timeout", "connections", "client_connections", "bodies", "burst"),
)


@dataclass(frozen=True)
class Settings:
    """Which model is served, and the limits of requests. Times are in seconds.

    reference: a file, a run, `models:/name/version` or `models:/name@alias`.
    interval: the time between two lookups of the reference.
    most_bytes, most_images, most_pixels: the limits of a request.
    most_elements: the limit of numbers and lists in a body of JSON.
    batch: the limit of images that are computed together.
    wait: the time that the first request of a batch waits for others.
    queue: the limit of requests in progress, waiting ones included.
    timeout: the limit for a request's body, and again for its answer.
    head_timeout: the limit for the head of a request: its first line and its headers.
    connections, client_connections: the limits of open connections, in all and of one client.
    bodies: the limit of bodies of `most_bytes` that are held at once; one client may hold half.
    rate: the requests a second of one client; 0 is no limit.
    burst: the requests of one client before the rate applies.
    allowed_hosts: the host names under which the service answers, beside addresses and names of this machine; "*": all.
    """

    reference: str
    interval: float = 5.0
    most_bytes: int = 4_000_000
    most_images: int = 256
    most_pixels: int = 16_000_000
    most_elements: int = 1_000_000
    batch: int = 64
    wait: float = 0.002
    queue: int = 256
    timeout: float = 10.0
    head_timeout: float = 10.0
    connections: int = 1000
    client_connections: int = 100
    bodies: int = 64
    rate: float = 100.0
    burst: int = 200
    allowed_hosts: tuple[str, ...] = ()

    def __post_init__(self):
        for name in POSITIVE:
            if not getattr(self, name) > 0:
                raise VaelineError(f"serve: {name.replace('_', '-')} must be above 0, got {getattr(self, name)}")
