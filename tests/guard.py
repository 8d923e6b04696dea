"""Which tests are slow: only they train a model or start a process, and another test that does fails.

A test is slow that asks for the fixture `training` or `processes`, itself or through another fixture, or that lies in
one of the folders below. `make check` leaves the slow tests out.
"""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

FIXTURES = {"training", "processes"}
FOLDERS = {"export", "fault", "pipeline", "server"}
HARMLESS = {"lscpu"}  # joblib counts the cores
STARTS = {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "subprocess.Popen"}


class Guard:
    """What the test that runs may do; between tests, everything."""

    def __init__(self) -> None:
        self.slow_allowed = True

    def require(self, what: str, fixture: str) -> None:
        """Fail the test that runs, unless it is slow."""
        if not self.slow_allowed:
            pytest.fail(f"{what}, but the test does not ask for the fixture `{fixture}`; see tests/guard.py")


guard = Guard()


def is_slow(item: pytest.Item) -> bool:
    """Whether a test may train a model or start a process."""
    return item.path.parent.name in FOLDERS or bool(FIXTURES & set(getattr(item, "fixturenames", ())))


def watch() -> None:
    """Watch, from now on, what this process starts and trains."""
    import keras

    sys.addaudithook(_watch_processes)
    for name in ("fit", "train_on_batch"):
        setattr(keras.Model, name, _watched(getattr(keras.Model, name)))


def _watch_processes(event: str, arguments: tuple[Any, ...]) -> None:
    if event in STARTS and not (arguments and arguments[0] in HARMLESS):
        guard.require(f"{event} starts {arguments[0] if arguments else 'a process'}", "processes")


def _watched(method: Callable[..., Any]) -> Callable[..., Any]:
    from vaeline.classifier.network import Classifier
    from vaeline.models.generative import GenerativeModel

    @wraps(method)
    def watched(model: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(model, GenerativeModel | Classifier):
            guard.require("a model is trained", "training")
        return method(model, *arguments, **options)

    return watched
