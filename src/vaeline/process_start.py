"""What every process of vaeline does first: commands and stages call `prepare_process`."""

import io
import os
import sys

from vaeline.redaction import redact_output

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def prepare_process() -> None:
    """Redact what is printed, print any character in any locale, and reach servers on this machine without a proxy."""
    redact_output()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
            stream.reconfigure(errors="replace")
    if any(name.lower() in PROXIES for name in os.environ):
        given = {host.strip() for name in ("no_proxy", "NO_PROXY") for host in os.environ.get(name, "").split(",")}
        direct = ",".join([*sorted(given - {"", *LOOPBACK}), *LOOPBACK])
        os.environ |= {"no_proxy": direct, "NO_PROXY": direct}
