"""How much one client may ask for."""

import asyncio
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable

from vaeline.serving.refusal import RefusalError

MOST_CLIENTS = 10_000
DRAINED = 16
IPV6_NETWORK = 64


class RateLimit:
    """A token bucket for each client: `burst` tokens at most, `rate` more a second; a request takes one.

    The clients that were seen last are remembered, MOST_CLIENTS of them.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Take a token. Raises RefusalError (429), which says when there is one again."""
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
            sentence = f"too many requests: {self._rate:g} a second are answered, after the first {self._burst}"
            raise RefusalError(429, sentence, retry_after=math.ceil((1 - tokens) / self._rate))


def client_name(host: str | None) -> str:
    """What a client is counted as: its IPv4 address, or the network of its IPv6 address, of which it has many."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return host or "unknown"
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, IPV6_NETWORK), strict=False))


async def read_body(chunks: AsyncIterator[bytes], declared: str | None, most: int, timeout: float) -> bytes:
    """A request's body of at most `most` bytes, `declared` by its Content-Length header.

    Of a larger one some more is read and dropped, so that a client that still sends can see the answer.

    Raises:
        RefusalError: it is larger (413), or took longer than `timeout` seconds (408).
    """
    body, seen = bytearray(), 0
    declared_size = int(declared) if declared and declared.isdecimal() and len(declared) < 20 else 0
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
        raise RefusalError(413, f"the body is larger than {most:,} bytes")
    return bytes(body)
