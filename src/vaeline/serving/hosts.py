"""The host names under which the service answers.

A page of another site can make its own name lead to the address of this service, and then read the answers as if they
were its own. The browser sends that name in the Host header, so a foreign name is refused. An address cannot be
redirected in this way.
"""

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

NO_HOST = set("/?#@\\ ")


def own_names(host: str) -> set[str]:
    """The names of this machine, and the one that the service listens on."""
    return {name.lower() for name in ("localhost", socket.gethostname(), socket.getfqdn(), host) if name}


def is_allowed(header: str, allowed: Collection[str]) -> bool:
    """Whether a Host header names an address, or a host of `allowed`.

    `*.example.org` allows each host below example.org, and `*` all hosts.
    """
    if "*" in allowed:
        return True
    try:
        name = (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if NO_HOST & set(header):
        return False
    return _is_address(name) or any(_matches(name, pattern.lower()) for pattern in allowed)


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or (pattern.startswith("*.") and name.endswith(pattern[1:]))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
