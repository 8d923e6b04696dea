"""The limits of a client: the rate of its requests, and the size of a request's body."""

import asyncio
import ipaddress
import math
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager

from vaeline.serving.refusal import RefusalError

MOST_CLIENTS = 10_000
DRAINED = 16
IPV6_NETWORK = 64


class RateLimit:
    """A token bucket for each client. It holds at most `burst` tokens and gains `rate` tokens a second.

    A request takes one token. The buckets of the MOST_CLIENTS latest clients are kept. A rate of 0 is no limit.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Take a token. Raises RefusalError (429), which says when the next token is there."""
        if not self._rate:
            return
        now = self._clock()
        tokens, then = self._buckets.pop(client, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        allowed = tokens >= 1
        self._buckets[client] = (tokens - allowed, now)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        if not allowed:
            sentence = f"too many requests: {self._rate:g} a second are allowed, after a burst of {self._burst}"
            raise RefusalError(429, sentence, retry_after=math.ceil((1 - tokens) / self._rate))


class HeldBytes:
    """The bytes of bodies that are held at once, in all and by client. One client may hold half of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: Counter[str] = Counter()

    @contextmanager
    def hold(self, client: str, size: int) -> Generator[None]:
        """Hold `size` bytes. Raises RefusalError (503) if they are too many."""
        if self._held.total() + size > self._most or self._held[client] + size > self._most / 2:
            sentence = "too many large bodies are being read; try again later (--bodies)"
            raise RefusalError(503, sentence, retry_after=1)
        self._held[client] += size
        try:
            yield
        finally:
            self._held[client] -= size
            if not self._held[client]:
                del self._held[client]


def client_name(host: str | None) -> str:
    """The name under which a client is counted: its IPv4 address, or the /64 network of its IPv6 address.

    A client usually has all addresses of such a network.
    """
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return host or "unknown"
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, IPV6_NETWORK), strict=False))


def read_length(declared: str | None) -> int | None:
    """The bytes that a Content-Length header declares; None if there is none, or if it is not a number."""
    return int(declared) if declared and declared.isdecimal() and len(declared) < 20 else None


async def read_body(chunks: AsyncIterator[bytes], declared: str | None, most: int, timeout: float) -> bytes:
    """Read a request's body of at most `most` bytes. `declared` is its Content-Length header.

    A larger body is read a little further and dropped: a client reads the answer only after it has sent its body.

    Raises:
        RefusalError: the body is larger (413), or took more than `timeout` seconds (408).
    """
    body, seen = bytearray(), 0
    declared_size = read_length(declared) or 0
    try:
        async with asyncio.timeout(timeout):
            if declared_size <= DRAINED * most:
                async for chunk in chunks:
                    seen += len(chunk)
                    if seen <= most:
                        body += chunk
                    elif seen > DRAINED * most:
                        break
    except TimeoutError:
        raise RefusalError(408, f"the body did not arrive within {timeout:g} seconds") from None
    if max(seen, declared_size) > most:
        raise RefusalError(413, f"the body is larger than {most:,} bytes (--most-bytes)")
    return bytes(body)
