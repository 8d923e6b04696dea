"""Digests of programs. Comments, docstrings and layout do not change them.

Python's parser reads a file, and the digest covers the syntax tree. Empty fields and empty parts of strings are left
out, because the versions of Python differ in them. The same code therefore has the same digest in Python 3.11, 3.12
and 3.13.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vaeline.stages import own_deps, read_stages, stages_up_to
from vaeline.tracking.git import commit_trees
from vaeline.tracking.trees import Tree, disk_tree, dvc_md5, read_file

PROGRAMS = "vaeline.programs"
TRAIN = "train"
KEY_LENGTH, LENGTH = 12, 16  # hexadecimal digits: MLflow cuts off a tag of more than 8,000 characters


def program_digest(path: str, tree: Tree) -> str:
    """Digest of a file or folder of code. A Python file counts by its syntax tree, another file by its bytes."""
    listing = hashlib.sha256()
    for name in sorted(tree):
        content = read_file({"": tree[name]})
        program = _program(content) if (name or path).endswith(".py") else content
        listing.update(f"{name}\0{hashlib.sha256(program).hexdigest()}\n".encode())
    return listing.hexdigest()[:LENGTH]


def program_tags() -> dict[str, str]:
    """The tag of a run with the program digests of all code that the stages up to `train` depend on, by md5."""
    stages = read_stages()
    trees = {path: disk_tree(Path(path)) for path in code_paths(own_deps(stages, stages_up_to(stages, TRAIN)))}
    found = {dvc_md5(tree)[:KEY_LENGTH]: program_digest(path, tree) for path, tree in trees.items() if tree is not None}
    return {PROGRAMS: json.dumps(found, sort_keys=True)}


def recorded_programs(files: Mapping[str, str], tags: Mapping[str, str], commits: Iterable[str]) -> dict[str, str]:
    """The program digests of a training's code, by path. `files` are the md5s that its `dvc.lock` records.

    They come from the run's tag. For a file that the tag lacks, they come from git, if one of `commits` has the file
    with the recorded md5. Other files are left out.
    """
    tagged = json.loads(tags.get(PROGRAMS, "{}"))
    code = {path: files[path] for path in code_paths(files)}
    found = {path: tagged[md5[:KEY_LENGTH]] for path, md5 in code.items() if md5[:KEY_LENGTH] in tagged}
    for commit in commits:
        for path, tree in commit_trees(commit, [path for path in code if path not in found]).items():
            if tree is not None and dvc_md5(tree) == code[path]:
                found[path] = program_digest(path, tree)
    return found


def code_paths(paths: Iterable[str]) -> list[str]:
    """The paths that are not data."""
    return [path for path in paths if not Path(path).is_relative_to("data")]


def _program(content: bytes) -> bytes:
    """The syntax tree as bytes; the content itself if it is not Python."""
    try:
        return json.dumps(_plain(ast.parse(content))).encode()
    except (SyntaxError, ValueError):
        return content


def _plain(node: Any) -> list[Any]:
    """A node of a syntax tree as nested lists, without positions, docstrings and empty fields."""
    if isinstance(node, list):
        return [_plain(item) for item in node if not _is_bare_string(item)]
    if isinstance(node, ast.JoinedStr):  # Python 3.12 adds empty strings to its values
        return ["JoinedStr", *(_plain(part) for part in node.values if getattr(part, "value", None) != "")]
    if not isinstance(node, ast.AST):
        return [type(node).__name__, repr(node)]
    fields = [(name, value) for name, value in ast.iter_fields(node) if value is not None and value != []]
    return [type(node).__name__, *([name, _plain(value)] for name, value in fields if name != "kind")]


def _is_bare_string(node: Any) -> bool:
    """Whether a statement is only a string, such as a docstring. Such a statement does nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
