"""Public data sets with their mirrors, and downloads that are checked by digest."""

import hashlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pooch
import requests

from vaeline.artifacts import atomic_file
from vaeline.errors import VaelineError
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.idx import GZIP, unpack
from vaeline.images.limits import OWN, Limit
from vaeline.images.spec import ImageSpec
from vaeline.redaction import one_line, public_uri

MIRROR_VARIABLE = "VAELINE_MIRROR"
FILE = "file://"
UNREACHABLE = Path(".vaeline/unreachable")  # the stage `fetch` writes this file if no mirror can be reached
CONNECT_AND_READ_SECONDS = (4, 20)
GIVE_UP_AFTER_SECONDS = 30
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
MNIST_IMAGE = ImageSpec(height=28, width=28, channels=1)


class SourceUnreachableError(VaelineError):
    """No mirror of a data set can be reached."""


@dataclass(frozen=True)
class Source:
    """A data set of IDX files.

    `digests` are those of the decompressed files, so that the files may be compressed in any way. If only the
    publisher's digests of the .gz files are known, they are those, and `of_container` is true.
    """

    title: str
    licence: str
    classes: tuple[str, ...]
    mirrors: tuple[str, ...]
    digests: dict[str, str]
    of_container: bool = False


SOURCES = {
    "mnist": Source(
        title="MNIST",
        licence="CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
        classes=tuple("0123456789"),
        mirrors=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        digests={
            TRAIN_IMAGES: "sha256:ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            TRAIN_LABELS: "sha256:65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            TEST_IMAGES: "sha256:0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            TEST_LABELS: "sha256:ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    "fashion_mnist": Source(
        title="Fashion-MNIST",
        licence="MIT, Zalando SE",
        classes=(
            "T-shirt",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        mirrors=(
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
        digests={
            TRAIN_IMAGES: "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            TRAIN_LABELS: "md5:25c81989df183df01b3e8a0aad5dffbe",
            TEST_IMAGES: "md5:bef4ecab320f06d8554ea6380940ec79",
            TEST_LABELS: "md5:bb300cfdad3c16e7a12a480ee83cd310",
        },
        of_container=True,
    ),
    "kmnist": Source(
        title="Kuzushiji-MNIST",
        licence="CC BY-SA 4.0, ROIS-DS Center for Open Data in the Humanities",
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        mirrors=(
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "https://storage.googleapis.com/kuzushiji-mnist/",
        ),
        digests={
            TRAIN_IMAGES: "sha256:51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            TRAIN_LABELS: "sha256:e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            TEST_IMAGES: "sha256:edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            TEST_LABELS: "sha256:20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        },
        of_container=True,
    ),
}


def download(name: str, directory: Path, cache: Path, most_bytes: Limit = OWN.bytes) -> None:
    """Write the decompressed IDX files of the data set `name` into `directory`.

    `VAELINE_MIRROR` (a folder or URL) is tried first, then the public mirrors in turn. A file is accepted only with the
    right digest. Finished downloads are kept in `cache`, so that a second call continues the first.

    Raises:
        SourceUnreachableError: no mirror gave a file; the message has the reason for each mirror, and what to do.
    """
    began = time.monotonic()
    for file in SOURCES[name].digests:
        refusals = []
        for mirror in _mirrors(name):
            if refusals and time.monotonic() - began > GIVE_UP_AFTER_SECONDS:
                refusals.append(f"{public_uri(mirror)}: not tried, {GIVE_UP_AFTER_SECONDS} s had passed")
                continue
            try:
                content = _obtain(mirror, name, file, cache, most_bytes)
            except (OSError, VaelineError) as error:
                refusals.append(f"{public_uri(mirror)}: {_reason(error)}")
                continue
            with atomic_file(directory / file) as temporary:
                temporary.write_bytes(content)
            began = time.monotonic()
            break
        else:
            raise SourceUnreachableError(_ways_out(name, file, refusals))


def path_of(uri: str) -> Path:
    """The path of a `file://` URI, in which `%20` and others stand for the characters that they encode."""
    return Path(unquote(uri.removeprefix(FILE).removeprefix("localhost")))


def _mirrors(name: str) -> Iterator[str]:
    if own := os.environ.get(MIRROR_VARIABLE):
        yield own
    yield from SOURCES[name].mirrors


def _container(mirror: str, name: str, file: str, cache: Path) -> Path:
    """The mirror's file, compressed or not, on this machine's disk."""
    if mirror.startswith(("http://", "https://")):
        return _fetch(mirror, f"{file}.gz", cache / name / hashlib.sha256(mirror.encode()).hexdigest()[:8])
    folder = path_of(mirror) if mirror.startswith(FILE) else Path(mirror).expanduser()
    for candidate in (folder / name / f"{file}.gz", folder / name / file, folder / f"{file}.gz", folder / file):
        if candidate.is_file():
            return candidate
    raise VaelineError(f"no {file}.gz there")


def _fetch(mirror: str, file: str, cache: Path) -> Path:
    logging.getLogger("pooch").setLevel(logging.ERROR)
    shelf = pooch.create(
        path=cache, base_url=mirror.rstrip("/") + "/", registry={file: None}, retry_if_failed=1, allow_updates=False
    )
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=CONNECT_AND_READ_SECONDS)
    return Path(shelf.fetch(file, downloader=downloader))


def _obtain(mirror: str, name: str, file: str, cache: Path, most_bytes: Limit) -> bytes:
    """The decompressed file. A download with the wrong digest is removed, so that it is not used again."""
    container = _container(mirror, name, file, cache)
    try:
        return verified_content(container, SOURCES[name].digests[file], SOURCES[name].of_container, most_bytes)
    except VaelineError:
        if container.is_relative_to(cache):
            container.unlink()
        raise


def verified_content(container: Path, wanted: str, of_container: bool, most_bytes: Limit = OWN.bytes) -> bytes:
    """The content of a .gz or plain file, whose digest must be `wanted` ("sha256:…").

    Raises:
        VaelineError: the file is cut off, has more than `most_bytes` when unpacked, or has another digest.
    """
    algorithm, expected = wanted.split(":")
    plain = container.read_bytes()
    try:
        content = unpack(container, most_bytes) if plain.startswith(GZIP) else plain
    except UnreadableImagesError as error:
        raise VaelineError(error.reason) from None
    found = hashlib.new(algorithm, plain if of_container else content).hexdigest()
    if found != expected:
        raise VaelineError(f"wrong content ({algorithm} {found[:12]}…, expected {expected[:12]}…)")
    return content


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return one_line(error, 160) or type(error).__name__


def _ways_out(name: str, file: str, refusals: list[str]) -> str:
    return (
        f"fetch: {file} of {name} could not be downloaded from any source ({'; '.join(refusals)}). Ways out: set "
        f"{MIRROR_VARIABLE} to a folder or URL that holds the four .gz files, or set data.dataset in params.yaml to "
        "digits, which needs no network, or to a path of your own images"
    )
