"""Read from git by its own commands. The result is empty if git, the repository or what was asked for is missing."""

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vaeline.errors import VaelineError
from vaeline.redaction import one_line

NOTHING_THERE = re.compile(
    r"not a git repository \(or any|unknown revision|bad object|bad revision|not a valid object|not a tree object|"
    "no such commit|malformed object name|does not have any commits|could not get object info|"
    "could not read from remote|does not appear to be a git repository",
    re.IGNORECASE,
)


def git(*arguments: str, cwd: Path | None = None) -> str:
    """Output of a git command; empty if git, the repository or what was asked for is missing.

    Raises:
        VaelineError: git fails for another reason, for example because another user owns the repository.
    """
    return _run(arguments, cwd=cwd).decode(errors="replace").strip()


def is_shallow() -> bool:
    """Whether this clone lacks earlier commits, as one of `git clone --depth 1`."""
    return git("rev-parse", "--is-shallow-repository") == "true"


def commit_trees(commit: str, paths: Iterable[str]) -> dict[str, Mapping[str, bytes | Path] | None]:
    """Files and folders of a commit by path, as `trees.Tree`; None for a path that the commit does not have."""
    blobs = {}
    for entry in git("ls-tree", "-r", "-z", commit).split("\0"):
        about, _, name = entry.partition("\t")
        if " blob " in about:
            blobs[name] = about.split()[2]
    chosen = {
        path: {name[len(path) + 1 :]: blob for name, blob in blobs.items() if f"{name}/".startswith(f"{path}/")}
        for path in paths
    }
    contents = read_objects([blob for members in chosen.values() for blob in members.values()])
    return {
        path: {name: contents[blob] for name, blob in members.items()} if members else None
        for path, members in chosen.items()
    }


def read_objects(names: Sequence[str]) -> dict[str, bytes]:
    """The contents of git objects by name (`<sha>` or `<commit>:./<path>`), read by one process."""
    output, start, found = _run(["cat-file", "--batch"], "\n".join([*names, ""]).encode()), 0, {}
    for name in names:
        end = output.find(b"\n", start)
        head = output[start:end].split()
        start = end + 1
        if len(head) == 3 and head[1] == b"blob":
            size = int(head[2])
            found[name] = output[start : start + size]
            start += size + 1
    return found


def _run(arguments: Sequence[str], given: bytes | None = None, cwd: Path | None = None) -> bytes:
    environment = os.environ | {"LC_ALL": "C"}  # git's sentences in English
    command = ["git", *arguments]
    try:
        done = subprocess.run(command, input=given, cwd=cwd, env=environment, capture_output=True, check=False)
    except FileNotFoundError:
        return b""
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.decode(errors="replace").strip()
    if "dubious ownership" in said:
        raise VaelineError(
            f"another user owns the repository {(cwd or Path.cwd()).resolve()}, so git does not read it; if you trust "
            "it, run `git config --global --add safe.directory` with its path"
        )
    if said and not NOTHING_THERE.search(said):
        raise VaelineError(f"`git {arguments[0]}` failed: {one_line(said, 300)}")
    return b""
