"""A tracking server that is down, silent, slow or broken: a training waits a bounded time in all, and goes on."""

import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fault.catalogue import times, tried
from fault.place import undisturbed
from pipeline.workspace import copy_workspace

MOST = 120  # seconds that a pipeline waits in all


class Slow(BaseHTTPRequestHandler):
    """Answers each request with a server error, after `delay` seconds."""

    delay = 0.0

    def answer(self) -> None:
        time.sleep(self.delay)
        self.send_response(500)
        self.end_headers()
        self.wfile.write(b"broken")

    do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815 (the names of the base class)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def server(kind: str) -> Generator[str]:
    """The address of a server that is down, silent (it accepts and never answers), slow or broken."""
    if kind in ("down", "silent"):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            if kind == "silent":
                yield address
                return
        yield address
        return
    handler = type("Handler", (Slow,), {"delay": 8.0 if kind == "slow" else 0.0})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


@pytest.mark.parametrize("kind", ["down", "silent", "slow", "answering 500"])
@times(1)
def test_a_training_waits_a_bounded_time_for_its_server(tmp_path, kind, seed):
    with tried(f"a tracking server that is {kind}", seed, "the training is done; `track sync` adds the run") as this:
        place = copy_workspace(undisturbed()[0], tmp_path)
        place.change(train__seed=5)
        place.repro("validate")
        began = time.monotonic()
        place.run("env", "PYTHONPATH=src", "python", "pipeline/train.py")
        usual = time.monotonic() - began
        (place.root / "models/vae.keras").unlink()
        place.run("rm", "-rf", ".vaeline/checkpoints")
        began = time.monotonic()
        with server(kind) as address:
            output = place.run("env", "PYTHONPATH=src", "python", "pipeline/train.py", MLFLOW_TRACKING_URI=address)
        waited = time.monotonic() - began - usual
        this.lost = f"{max(waited, 0):.0f} s"
        assert output.count("The training is not affected") == 1
        assert waited < MOST
        assert (place.root / "models/vae.keras").is_file()
