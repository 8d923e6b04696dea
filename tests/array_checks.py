"""Annotations checked while tests run: importing this module makes it so for what is imported afterwards.

jaxtyping and beartype compare the arrays that functions of `ROOMS` take and return with the types and shapes in their
annotations. The import hook of jaxtyping itself cannot be used: Keras reads the signature of a layer's `__init__`, and
that hook hides it.
"""

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, get_args

from beartype import beartype
from jaxtyping import AbstractArray, jaxtyped

from vaeline.topics import TOPICS

ROOMS = (
    *TOPICS,
    "classifier",
    "data",
    "evaluation",
    "figures",
    "gate.figures",
    "gate.scores",
    "gate.statistics",
    "images",
    "ingestion",
    "models",
    "monitoring",
    "provenance.nodes",
    "pyfunc",
    "serving.payloads",
    "training",
)


class CheckedRooms(MetaPathFinder):
    """Finds the modules of `ROOMS`, whose functions are checked once they are loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not any(f"{name}.".startswith(f"vaeline.{room}.") for room in ROOMS):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module
            spec.loader.exec_module = lambda module: (load(module), check_module(module))[0]
        return spec


def check_module(module: ModuleType) -> None:
    """Check the functions of a module and the methods of its classes."""
    for name, value in list(vars(module).items()):
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            check_class(value)
        elif inspect.isfunction(value):
            setattr(module, name, jaxtyped(value, typechecker=checked))


def check_class(owner: type) -> None:
    """Check the methods and properties of a class, and the fields of a dataclass."""
    for name, value in list(vars(owner).items()):
        if not name.startswith("__") and (inspect.isfunction(value) or isinstance(value, property)):
            setattr(owner, name, jaxtyped(value, typechecker=checked))
    jaxtyped(owner, typechecker=checked)


def checked(function: Callable) -> Callable:
    """The function with its annotations of arrays checked, except while TensorFlow builds a graph.

    A tensor of a graph has axes of unknown length, which fit no other. The tensors that JAX traces have all lengths and
    are checked like others. Other types are not checked here: a test may hand in a stand-in.
    """
    function.__annotations__ = {
        name: annotation for name, annotation in function.__annotations__.items() if is_of_arrays(annotation)
    }
    checking = beartype(function)

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        return (function if is_tracing() else checking)(*arguments, **named)

    return call


def is_of_arrays(annotation: Any) -> bool:
    """Whether an annotation is a type of arrays, or holds one."""
    if inspect.isclass(annotation) and issubclass(annotation, AbstractArray):
        return True
    return any(is_of_arrays(part) for part in get_args(annotation))


def is_tracing() -> bool:
    """Whether TensorFlow is building a graph."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and tensorflow.inside_function()


sys.meta_path.insert(0, CheckedRooms())
