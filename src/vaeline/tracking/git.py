"""Read from git by its own commands. The result is empty if git or the repository is missing."""

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


def git(*arguments: str, cwd: Path | None = None) -> str:
    """Output of a git command; empty if git or the repository is missing, or the command fails."""
    return _run(arguments, cwd=cwd).decode(errors="replace").strip()


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
    try:
        done = subprocess.run(["git", *arguments], input=given, cwd=cwd, capture_output=True, check=False)
    except FileNotFoundError:
        return b""
    return done.stdout if done.returncode == 0 else b""
