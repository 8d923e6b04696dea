"""Files that are written whole or not at all, with the same bytes for the same content."""

import hashlib
import json
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def atomic_file(path: Path) -> Generator[Path]:
    """Yield a temporary path beside `path`; it takes the place of `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as scratch:
        temporary = Path(scratch) / path.name
        yield temporary
        os.replace(temporary, path)


@contextmanager
def atomic_directory(path: Path) -> Generator[Path]:
    """Yield an empty temporary directory; it takes the place of `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as scratch:
        temporary = Path(scratch) / path.name
        temporary.mkdir()
        yield temporary
        if path.exists():  # a move is over at once, a removal could be interrupted halfway
            os.replace(path, Path(scratch) / "before")
        os.replace(temporary, path)


def canonical_json(content: object, decimals: int = 6) -> str:
    """JSON with sorted keys and floats rounded to `decimals` places, so that equal content is equal bytes."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if isinstance(value, np.ndarray | np.generic):
            return plain(value.tolist())
        return round(value, decimals) if isinstance(value, float) else value

    return json.dumps(plain(content), sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def write_json(path: Path, content: object) -> None:
    """Write `content` to `path` as `canonical_json`, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(canonical_json(content), encoding="utf-8")


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file, or of a directory: then of its sorted relative paths and file digests.

    Python's byte code and hidden files do not count.
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
