"""A process that has imported the heavy libraries and forks itself for each command that a test runs.

It starts a command of the pipeline without the seconds that TensorFlow, MLflow, Great Expectations and DVC take to
import. No TensorFlow operation runs before the fork, so that each fork sets its own number of threads and computes the
bits of a new process. vaeline itself is not imported here: a fork imports the copy that its workspace holds.

    python server.py SOCKET PID    # it ends with the process PID
"""

import array
import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import numpy as np

PRELOADED = (
    "alembic",
    "constriction",
    "dvc.cli",
    "dvc.repo.reproduce",
    "great_expectations",
    "keras",
    "matplotlib.backends.backend_agg",
    "matplotlib.pyplot",
    "mlflow.cli",
    "mlflow.pyfunc.scoring_server",
    "mlflow.store.tracking.sqlalchemy_store",
    "pandas",
    "pyarrow.parquet",
    "pydantic",
    "rich.console",
    "ruamel.yaml",
    "scipy.stats",
    "sklearn.datasets",
    "sklearn.linear_model",
    "sklearn.mixture",
    "tensorflow",
    "tqdm",
    "typer",
    "uvicorn.main",
)
COMMANDS = {"dvc": ("dvc.cli", "main"), "uvicorn": ("uvicorn.main", "main"), "vaeline": ("vaeline.cli", "app")}
LARGEST_REQUEST = 1 << 20  # bytes


@dataclass(frozen=True)
class Request:
    """A command of Python as its client got it: the arguments, the folder and the variables."""

    program: str
    arguments: list[str]
    cwd: str
    environment: dict[str, str]


@dataclass
class Server:
    """The forks that are at work, and the clients that wait for them."""

    listener: socket.socket
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    clients: dict[int, socket.socket] = field(default_factory=dict)

    def serve(self, owner: int) -> Request | None:
        """Fork for each request. A fork returns its request; the server itself returns None when `owner` has ended."""
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.selector.register(os.pidfd_open(owner), selectors.EVENT_READ, "owner")
        while True:
            for key, _ in self.selector.select():
                if key.data == "owner":
                    self._end_all()
                    return None
                if key.data is None:
                    request = self._fork(self.listener.accept()[0])
                    if request:
                        return request
                elif key.fileobj in self.clients.values():
                    self._forward(key.data)
                else:
                    self._report(key.data, key.fileobj)

    def _fork(self, client: socket.socket) -> Request | None:
        content, descriptors, _, _ = socket.recv_fds(client, LARGEST_REQUEST, 3)
        request = Request(**json.loads(content))
        pid = os.fork()
        if not pid:
            self.selector.close()
            for other in (self.listener, client, *self.clients.values()):
                other.close()
            _take_place(request, descriptors)
            return request
        for descriptor in descriptors:
            os.close(descriptor)
        self.clients[pid] = client
        self.selector.register(client, selectors.EVENT_READ, pid)
        self.selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
        return None

    def _forward(self, pid: int) -> None:
        """Send the fork the signal that its client got, or SIGKILL where the client was killed."""
        received = self.clients[pid].recv(1)
        if not received:
            self.selector.unregister(self.clients[pid])
        _signal_group(pid, received[0] if received else signal.SIGKILL)

    def _report(self, pid: int, pidfd: int) -> None:
        """Tell the client how its fork has ended."""
        _, status = os.waitpid(pid, 0)
        self.selector.unregister(pidfd)
        os.close(pidfd)
        client = self.clients.pop(pid)
        if client in {key.fileobj for key in self.selector.get_map().values()}:
            self.selector.unregister(client)
        with client, suppress(OSError):  # the client was killed
            client.sendall(array.array("i", [os.waitstatus_to_exitcode(status)]).tobytes())

    def _end_all(self) -> None:
        for pid in self.clients:
            _signal_group(pid, signal.SIGKILL)


def _signal_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):  # it has ended by itself
        os.killpg(pid, number)


def _take_place(request: Request, descriptors: list[int]) -> None:
    """Give this fork the folder, the variables and the streams of its client."""
    os.setpgid(0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.environment)


def run(request: Request, search_path: list[str]) -> int:
    """Run the command in this process, as its program would, and return the exit status, or minus a signal."""
    np.random.seed()  # each process has a state of its own
    sys.executable = str(Path(request.program).with_name("python"))
    own_path = [path for path in request.environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [*own_path, *search_path]
    try:
        _run_main(Path(request.program), request.arguments)
    except SystemExit as error:
        return _exit_status(error.code)
    except KeyboardInterrupt:
        traceback.print_exc()
        return -signal.SIGINT
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _run_main(program: Path, arguments: list[str]) -> None:
    if program.name in COMMANDS:
        sys.argv = [str(program), *arguments]
        module, function = COMMANDS[program.name]
        sys.exit(getattr(importlib.import_module(module), function)())
    first, *rest = arguments
    if first == "-m":
        if "PYTHONSAFEPATH" not in os.environ:
            sys.path.insert(0, os.getcwd())
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.path.insert(0, "")
        sys.argv = ["-c", *rest[1:]]
        sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), sys.modules["__main__"].__dict__)
    else:
        sys.path.insert(0, str(Path(first).absolute().parent))
        sys.argv = arguments
        runpy.run_path(first, run_name="__main__")


def _exit_status(code: object) -> int:
    """The exit status for what `sys.exit` was given."""
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


def end(status: int) -> NoReturn:
    """End a fork as the interpreter ends, but for freeing each object of each library, which takes a second."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def preload() -> None:
    """Import what commands import; no operation of TensorFlow runs."""
    for name in PRELOADED:
        importlib.import_module(name)
    from tensorflow.python.eager import context

    assert context.context()._context_handle is None, "TensorFlow has started: a fork would share its threads"
    gc.collect()
    gc.freeze()  # so that no fork copies the pages of what all share


def main() -> None:
    address, owner = sys.argv[1], int(sys.argv[2])
    search_path = list(sys.path)
    preload()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(64)
        print("ready", flush=True)
        request = Server(listener).serve(owner)
    if request:
        end(run(request, search_path))


if __name__ == "__main__":
    main()
