"""What every process of vaeline does first: commands and stages call `prepare_process`."""

import io
import os
import sys

from vaeline.redaction import redact_output

LOOPBACK = ("127.0.0.1", "localhost", "::1")
UTF8, OUTPUT = "PYTHONUTF8", "PYTHONIOENCODING"
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def prepare_process() -> None:
    """Redact what is printed, print any character in any locale, and reach servers on this machine without a proxy.

    Where names of files are not UTF-8, the process starts again in Python's UTF-8 mode, and so do its children.
    """
    _read_names_as_utf8()
    redact_output()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
            stream.reconfigure(errors="replace")
    if any(name.lower() in PROXIES for name in os.environ):
        given = {host.strip() for name in ("no_proxy", "NO_PROXY") for host in os.environ.get(name, "").split(",")}
        direct = ",".join([*sorted(given - {"", *LOOPBACK}), *LOOPBACK])
        os.environ |= {"no_proxy": direct, "NO_PROXY": direct}


def _read_names_as_utf8() -> None:
    """Start again with PYTHONUTF8. MLflow and DVC cannot work below a folder such as `ü` without it."""
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get(UTF8) == "1":
        return
    os.environ.setdefault(OUTPUT, f"{sys.stdout.encoding}:replace")  # what is printed stays in the locale's letters
    os.environ[UTF8] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
