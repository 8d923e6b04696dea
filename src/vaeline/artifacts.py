"""Files that are written completely or not at all. The same content gives the same bytes."""

import hashlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil


@contextmanager
def atomic_file(path: Path) -> Generator[Path]:
    """Yield a temporary path beside `path`. It replaces `path` if the block ends without an exception."""
    with scratch_beside(path) as scratch:
        temporary = scratch / path.name
        yield temporary
        os.replace(temporary, path)


@contextmanager
def atomic_directory(path: Path) -> Generator[Path]:
    """Yield an empty temporary directory. It replaces `path` if the block ends without an exception."""
    with scratch_beside(path) as scratch:
        temporary = scratch / path.name
        temporary.mkdir()
        yield temporary
        if path.exists():  # a rename is atomic; a removal could be interrupted
            os.replace(path, scratch / "before")
        os.replace(temporary, path)


@contextmanager
def scratch_beside(path: Path) -> Generator[Path]:
    """A temporary folder beside `path`. Those of processes of this machine that were killed are removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ours = f".{path.name}-{socket.gethostname()}-"
    for left in path.parent.iterdir():
        process = left.name.removeprefix(ours).partition("-")[0]
        if left.name.startswith(ours) and process.isdigit() and not psutil.pid_exists(int(process)):
            shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=f"{ours}{os.getpid()}-", dir=path.parent) as scratch:
        yield Path(scratch)


def canonical_json(content: object, decimals: int = 6) -> str:
    """JSON with sorted keys and floats rounded to `decimals` places, so that equal content gives equal bytes."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if isinstance(value, np.ndarray | np.generic):
            return plain(value.tolist())
        return round(value, decimals) if isinstance(value, float) else value

    return json.dumps(plain(content), sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def write_json(path: Path, content: object, decimals: int = 6) -> None:
    """Write `content` to `path` as `canonical_json`, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(canonical_json(content, decimals), encoding="utf-8")


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file or a directory. That of a directory covers its sorted relative paths and file digests.

    Python's byte code and hidden files are left out.
    """
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, algorithm).hexdigest()
    if not path.is_dir():
        raise FileNotFoundError(path)
    listing = hashlib.new(algorithm)
    for member in sorted(path.rglob("*")):
        relative = member.relative_to(path)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in relative.parts)
        if member.is_file() and not hidden:
            listing.update(f"{relative.as_posix()}\0{digest(member, algorithm)}\n".encode())
    return listing.hexdigest()
