"""The place where batches arrive: a local folder or a URI. Each file or folder in it is a batch."""

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from vaeline.data.sources import FILE, path_of
from vaeline.errors import VaelineError
from vaeline.images.limits import FOREIGN, Limit
from vaeline.redaction import one_line, public_uri

INCOMING = Path("data/incoming")
FETCHED = Limit(2**32, "ingest.limits.fetched")
NOT_BATCHES = {"README.md"}


@dataclass(frozen=True)
class Arrival:
    """A batch that arrived: its `name`, and its `origin` for the record, without secrets.

    fetch: copies the batch into a folder and returns the path of the copy. path: the batch in `data/incoming`, which is
    moved if it is refused; None for a batch from elsewhere, which is only read.
    """

    name: str
    origin: str
    fetch: Callable[[Path], Path]
    path: Path | None = None


def arrivals(source: str, fetched: Limit = FETCHED, files: Limit = FOREIGN.files) -> list[Arrival]:
    """The batches at `source`, sorted by name: the files and folders in a folder or URI, or the one file that it names.

    Hidden files are not batches, so that an upload can have a hidden name until it is complete. A link is a batch, and
    is refused later.

    fetched, files: the limits of a batch that is copied from a URI.

    Raises:
        VaelineError: the source does not exist, or cannot be read.
    """
    return _remote(source, fetched, files) if "://" in source else _local(Path(source))


@contextmanager
def at_hand(arrival: Arrival, scratch: Path) -> Generator[Path]:
    """The path of the batch on this machine. A batch from elsewhere is copied, and the copy is removed afterwards."""
    if arrival.path is not None:
        yield arrival.path
        return
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    yield arrival.fetch(scratch)
    shutil.rmtree(scratch)


def _local(source: Path) -> list[Arrival]:
    if source.is_file():
        return [_local_arrival(source)]
    if not source.is_dir():
        raise VaelineError(f"{source}: no such folder; put batches into {INCOMING}, or set ingest.source")
    return [_local_arrival(child) for child in sorted(source.iterdir()) if _is_batch(child.name)]


def _local_arrival(path: Path) -> Arrival:
    def fetch(folder: Path) -> Path:
        if path.is_dir() and not path.is_symlink():
            return Path(shutil.copytree(path, folder / path.name, symlinks=True))
        return Path(shutil.copy2(path, folder / path.name, follow_symlinks=False))

    is_ours = path.parent.resolve() == INCOMING.resolve()
    return Arrival(path.name, path.as_posix(), fetch, path if is_ours else None)


def _remote(source: str, fetched: Limit, most_files: Limit) -> list[Arrival]:
    with in_a_sentence(f"{source}: cannot be read"):
        filesystem, root = open_uri(source)
        if filesystem.isfile(root):
            return [Arrival(_name_of(root), public_uri(source), _fetcher(filesystem, root, fetched, most_files))]
        children = [entry["name"].rstrip("/") for entry in filesystem.ls(root, detail=True)]
    names = {_name_of(child): child for child in children}
    return [
        Arrival(
            name, f"{public_uri(source).rstrip('/')}/{name}", _fetcher(filesystem, names[name], fetched, most_files)
        )
        for name in sorted(names)
        if _is_batch(name)
    ]


def _fetcher(filesystem: Any, child: str, fetched: Limit, most_files: Limit) -> Callable[[Path], Path]:
    def fetch(folder: Path) -> Path:
        name = _name_of(child)
        with in_a_sentence(f"{name}: cannot be fetched"):
            is_folder = filesystem.isdir(child)
            files = list(islice(filesystem.find(child), most_files.most + 1)) if is_folder else [child]
            if len(files) > most_files.most:
                raise VaelineError(f"{name}: too many files, {most_files}")
            if (size := filesystem.du(child)) > fetched.most:
                raise VaelineError(f"{name}: {size:,} bytes, {fetched}")
            if is_folder:
                (folder / name).mkdir()
            for file in files:
                relative = PurePosixPath(file).relative_to(PurePosixPath(child))
                if ".." in relative.parts:
                    raise VaelineError(f"{name}: the file {relative} lies outside the batch")
                target = folder / name / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                filesystem.get_file(file, str(target))
        return folder / name

    return fetch


def open_uri(source: str) -> tuple[Any, str]:
    """The file system of a path or URI, and the path in it; `remote://NAME/PATH` has address and credentials of DVC.

    Raises:
        VaelineError: there is no such DVC remote.
        Exception: of fsspec, or of the library of the protocol; see `in_a_sentence`.
    """
    if source.startswith("remote://"):
        from dvc.exceptions import DvcException
        from dvc.fs import parse_external_url
        from dvc.repo import Repo

        try:
            filesystem, path = parse_external_url(source, config=Repo().config)
        except DvcException as error:
            raise VaelineError(f"{source}: {error}") from None
        return filesystem.fs, path
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    if "://" in source and not source.startswith(FILE):
        return url_to_fs(source)
    path = path_of(source) if source.startswith(FILE) else Path(source).expanduser()
    return LocalFileSystem(), str(path.absolute())  # fsspec does not decode such a URI, and reads `::` in a path


@contextmanager
def in_a_sentence(failure: str) -> Generator[None]:
    """Raise a VaelineError that begins with `failure` for any other error.

    The libraries of S3, SSH and other protocols have errors of their own, which have no class in common.
    """
    try:
        yield
    except VaelineError:
        raise
    except Exception as error:
        raise VaelineError(f"{failure} ({one_line(error, 200)})") from None


def _name_of(path: str) -> str:
    """The last part of a path. The path of a file system over http is a whole URL, whose query is no part of it."""
    return PurePosixPath(unquote(urlsplit(path).path) if "://" in path else path).name


def _is_batch(name: str) -> bool:
    return not name.startswith(".") and name not in NOT_BATCHES
