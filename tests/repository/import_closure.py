"""Which files of `src` a script imports, directly or through others, read without running it."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

SOURCE = Path("src")


def import_closure(*scripts: Path, leave_out: tuple[str, ...] = ()) -> set[Path]:
    """Files below `src` that the scripts reach; modules in `leave_out` and what only they import do not count."""
    found: set[Path] = set()
    waiting = list(scripts)
    while waiting:
        for file in direct_imports(waiting.pop()):
            if file not in found and not any(file.is_relative_to(SOURCE / path) for path in leave_out):
                found.add(file)
                waiting.append(file)
    return found


def has_code(file: Path) -> bool:
    """Whether a file holds more than its docstring."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def direct_imports(script: Path, with_typing: bool = False) -> set[Path]:
    """Files below `src` that a script imports itself; with those that only annotations need, if asked for."""
    files: set[Path] = set()
    tree = ast.parse(script.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if with_typing else nodes_that_run([tree]):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            for depth in range(1, len(parts) + 1):
                module = SOURCE.joinpath(*parts[:depth])
                files.update(file for file in (module.with_suffix(".py"), module / "__init__.py") if file.is_file())
    return files


def nodes_that_run(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes, without those under `if TYPE_CHECKING`: what only annotations need is never imported."""
    for node in nodes:
        yield node
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        yield from nodes_that_run(node.orelse if typing_only else ast.iter_child_nodes(node))
