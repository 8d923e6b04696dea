"""Which files of this repository a script imports, directly or through others, read without running it."""

import ast
from pathlib import Path

SOURCE = Path("src")


def import_closure(script: Path, leave_out: tuple[str, ...] = ()) -> set[Path]:
    """Files below `src` that `script` reaches; modules in `leave_out` and what only they import do not count."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        for file in _imported_files(waiting.pop()):
            if file not in found and not any(file.is_relative_to(SOURCE / path) for path in leave_out):
                found.add(file)
                waiting.append(file)
    return found


def _imported_files(script: Path) -> set[Path]:
    files: set[Path] = set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
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
