"""Files and folders by content, from disk, git or DVC's cache; with their md5 (for DVC) and SHA-256 (for vaeline)."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from vaeline.artifacts import digest
from vaeline.tracking.repository import repository_root

Tree = Mapping[str, bytes | Path]  # content by relative path; a single file has the path ""
FOLDER = ".dir"
MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
RELATIVE = re.compile(r"(?!/)(?!.*(^|/)\.\.(/|$)).+")


def disk_tree(path: Path) -> Tree | None:
    """The file or folder at `path`, without byte code; None if there is none."""
    if path.is_dir():
        files = (file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
        return {file.relative_to(path).as_posix(): file for file in files}
    return {"": path} if path.is_file() else None


def cached_tree(md5: str) -> Tree | None:
    """The content of DVC's cache with this md5 ("….dir" is a folder); None if any file is missing.

    If the list of files of a folder cannot be read, the result is an empty folder, whose md5 differs.
    """
    found = _object(md5) if MD5.fullmatch(md5) else None
    if found is None or not md5.endswith(FOLDER):
        return {"": found} if found else None
    try:
        members = {entry["relpath"]: _object(entry["md5"]) for entry in json.loads(found.read_text(encoding="utf-8"))}
    except (ValueError, KeyError, TypeError):
        return {}
    if not all(map(RELATIVE.fullmatch, members)):
        return {}
    present = {name: file for name, file in members.items() if file is not None}
    return present if len(present) == len(members) else None


def recorded_tree(path: str, md5: str) -> Tree | None:
    """The content that `dvc.lock` records at `path` with this md5, from disk or DVC's cache; None if neither has it."""
    for tree in (disk_tree(Path(path)), cached_tree(md5)):
        if tree is not None and dvc_md5(tree) == md5:
            return tree
    return None


def dvc_md5(tree: Tree) -> str:
    """DVC's md5 of a file or a folder. That of a folder covers the list of its files' md5s and ends with ".dir"."""
    if is_file(tree):
        return _hash(tree[""], "md5")
    listing = [{"md5": _hash(tree[name], "md5"), "relpath": name} for name in sorted(tree)]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode()).hexdigest() + FOLDER


def tree_digest(tree: Tree) -> str:
    """SHA-256, the same that `artifacts.digest` computes for the file or folder on disk."""
    if is_file(tree):
        return _hash(tree[""], "sha256")
    listing = hashlib.sha256()
    for name in sorted(tree, key=lambda name: name.split("/")):
        if not any(part.startswith(".") or part == "__pycache__" for part in name.split("/")):
            listing.update(f"{name}\0{_hash(tree[name], 'sha256')}\n".encode())
    return listing.hexdigest()


def is_file(tree: Tree) -> bool:
    """Whether the tree is a single file."""
    return set(tree) == {""}


def read_file(tree: Tree) -> bytes:
    """The content of a tree that is a single file."""
    content = tree[""]
    return content if isinstance(content, bytes) else content.read_bytes()


def write_tree(tree: Tree, target: Path) -> Path:
    """Write the file or the folder to `target`, which must not exist; return it."""
    if not is_file(tree):
        target.mkdir(parents=True)
    for name, content in tree.items():
        file = target / name if name else target
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            shutil.copyfile(content, file)
    return target


def _hash(content: bytes | Path, algorithm: str) -> str:
    return digest(content, algorithm) if isinstance(content, Path) else hashlib.new(algorithm, content).hexdigest()


def _object(md5: str) -> Path | None:
    """The cached file with this md5, in the cache of this folder or of the main checkout."""
    for root in dict.fromkeys((Path.cwd(), repository_root())):
        if (found := _cache_directory(root) / "files" / "md5" / md5[:2] / md5[2:]).is_file():
            return found
    return None


@cache
def _cache_directory(root: Path) -> Path:
    """DVC's cache folder for `root`. Its configuration may name a folder that several repositories share."""
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return root / (done.stdout.strip() if done.returncode == 0 else ".dvc/cache")
