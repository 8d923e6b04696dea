"""`vaeline serve` as a process, and what it is asked."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from screenshots import free_port

PATIENCE = 180.0
LENIENT = ("--timeout", str(PATIENCE))


class Server:
    """`vaeline serve` and what it is asked."""

    def __init__(self, workspace, store, folder, python="python"):
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = folder / "serve.log"
        environment = workspace.environment(MLFLOW_TRACKING_URI=store)
        program = shutil.which(python, path=environment["PATH"])
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                [program, "-m", "vaeline.cli", "serve", "--port", str(self.port), "--interval", "0.1", *LENIENT],
                cwd=workspace.root,
                env=environment,
                stdout=output,
                stderr=output,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)

    def ask(self, path, body=None, kind="application/json"):
        """Status, headers and body of an answer."""
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(self.address + path, content, {"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return response.status, response.headers, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, error.headers, json.load(error)

    def wait_for(self, fits):
        """What /readyz says as soon as it fits."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text()
            try:
                _, _, state = self.ask("/readyz")
            except OSError:
                state = None
            if state and fits(state):
                return state
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def wait_for_version(self, version):
        return self.wait_for(lambda state: state["model"] and state["model"]["version"] == version)
