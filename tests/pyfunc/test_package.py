import ast
import sys
from importlib import metadata
from pathlib import Path

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from repository.import_closure import import_closure, nodes_that_run

from vaeline.pyfunc.package import pinned_requirements

KINDS = Path("src/vaeline/models/kinds")


def imported_packages(file: Path) -> set[str]:
    """The top-level packages that a file imports, without those of Python and vaeline."""
    names = set()
    for node in nodes_that_run([ast.parse(file.read_text(encoding="utf-8"))]):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"vaeline"}


def installed_with(requirements: list[str]) -> set[str]:
    """The names of these requirements and of all that they require."""
    found, waiting = set(), [Requirement(text).name for text in requirements]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found.add(name)
            needed = map(Requirement, metadata.requires(name) or [])
            waiting += [item.name for item in needed if item.marker is None or item.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(autouse=True)
def _root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_the_requirements_of_a_model_install_all_that_its_code_imports():
    model = Path("src/vaeline/pyfunc/model.py")
    files = {model, *import_closure(model, *KINDS.glob("*/*.py")), *KINDS.glob("*/*.py")}
    packages = set().union(*map(imported_packages, files))
    assert packages >= {"jaxtyping", "keras", "mlflow", "numpy"}
    distributions, installed = metadata.packages_distributions(), installed_with(pinned_requirements())
    missing = {name for name in packages if not {*map(canonicalize_name, distributions[name])} & installed}
    assert missing == set()
