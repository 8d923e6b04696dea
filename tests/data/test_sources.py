import gzip
import hashlib
import http.server
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pooch
import pytest
from conftest import MIRROR, needs_mnist

from vaeline.data import sources
from vaeline.data.sources import MIRROR_VARIABLE, SOURCES, SourceUnreachableError, download, verified_content
from vaeline.errors import VaelineError
from vaeline.images.limits import Limit

CONTENT = {name: f"content of {name}".encode() for name in SOURCES["mnist"].digests}


@pytest.fixture
def small_source(monkeypatch):
    """`mnist` with small known files and no mirror but those a test adds."""
    digests = {name: f"sha256:{hashlib.sha256(content).hexdigest()}" for name, content in CONTENT.items()}
    source = replace(SOURCES["mnist"], mirrors=(), digests=digests)

    def use(*mirrors: str) -> None:
        monkeypatch.setitem(SOURCES, "mnist", replace(source, mirrors=mirrors))

    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setattr(pooch.core, "time", SimpleNamespace(sleep=lambda seconds: None))  # before it tries again
    use()
    return use


@pytest.fixture
def server():
    """A mirror on loopback; `answers` maps a path to (status, bytes, seconds to wait)."""
    answers: dict[str, tuple[int, bytes, float]] = {}
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            status, content, seconds = answers.get(self.path, (404, b"", 0))
            time.sleep(seconds)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        running.url = f"http://127.0.0.1:{running.server_port}/"
        running.answers, running.asked = answers, asked
        yield running
        running.shutdown()


def serve_all(server, change=lambda packed: packed) -> None:
    for name, content in CONTENT.items():
        server.answers[f"/{name}.gz"] = (200, change(gzip.compress(content)), 0)


def fetched(directory) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


@pytest.mark.parametrize(
    "write", [str, Path.as_uri, "file://{}".format, lambda folder: folder.as_uri().replace("//", "//localhost")]
)
def test_a_mirror_may_be_a_path_or_a_uri_of_a_folder_of_any_name(small_source, monkeypatch, tmp_path, write):
    mirror = tmp_path / "100 %20 of ü? #1"
    mirror.mkdir()
    for name, content in CONTENT.items():
        (mirror / name).write_bytes(content)
    monkeypatch.setenv(MIRROR_VARIABLE, write(mirror))
    if write == "file://{}".format:  # what is not encoded is taken as it is, but for what looks encoded
        mirror.rename(tmp_path / "100   of ü? #1")
    download("mnist", tmp_path / "out", tmp_path / "cache")
    assert fetched(tmp_path / "out") == CONTENT


@pytest.mark.parametrize("packed", [True, False], ids=["gz", "plain"])
def test_a_folder_serves_any_container(small_source, monkeypatch, tmp_path, packed):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name, content in CONTENT.items():
        (mirror / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror))
    download("mnist", tmp_path / "out", tmp_path / "cache")
    assert fetched(tmp_path / "out") == CONTENT


def test_the_next_mirror_is_tried_when_one_lies_or_is_cut_off(small_source, server, tmp_path):
    serve_all(server)
    names = list(CONTENT)
    server.answers[f"/bad/{names[0]}.gz"] = (200, gzip.compress(b"something else"), 0)
    server.answers[f"/bad/{names[1]}.gz"] = (200, gzip.compress(CONTENT[names[1]])[:-4], 0)
    server.answers[f"/bad/{names[2]}.gz"] = (200, b"<html>captive portal</html>", 0)
    server.answers[f"/bad/{names[3]}.gz"] = (403, b"", 0)
    small_source(f"{server.url}bad", server.url)
    download("mnist", tmp_path / "out", tmp_path / "cache")
    assert fetched(tmp_path / "out") == CONTENT


def test_what_was_downloaded_once_is_not_downloaded_again(small_source, server, tmp_path):
    serve_all(server)
    missing = f"/{list(CONTENT)[-1]}.gz"
    answer = server.answers.pop(missing)
    small_source(server.url)
    with pytest.raises(SourceUnreachableError):
        download("mnist", tmp_path / "out", tmp_path / "cache")
    server.answers[missing] = answer
    server.asked.clear()
    download("mnist", tmp_path / "out", tmp_path / "cache")
    assert server.asked == [missing]


def test_the_message_names_every_mirror_and_the_ways_out(small_source, server, monkeypatch, tmp_path):
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path / "nowhere"))
    small_source("http://127.0.0.1:9/", server.url)
    with pytest.raises(SourceUnreachableError) as caught:
        download("mnist", tmp_path / "out", tmp_path / "cache")
    for part in ("nowhere", "127.0.0.1:9", "no connection", server.url, "404", MIRROR_VARIABLE, "digits", "own images"):
        assert part in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_mirror_that_does_not_answer_is_given_up(small_source, server, monkeypatch, tmp_path):
    monkeypatch.setattr(sources, "CONNECT_AND_READ_SECONDS", (1, 0.2))
    monkeypatch.setattr(sources, "GIVE_UP_AFTER_SECONDS", 0)
    server.answers[f"/{next(iter(CONTENT))}.gz"] = (200, b"late", 0.5)
    small_source(server.url, "http://127.0.0.1:9/")
    with pytest.raises(SourceUnreachableError, match=r"no answer in time.*127\.0\.0\.1:9/: not tried, 0 s had passed"):
        download("mnist", tmp_path / "out", tmp_path / "cache")


def test_a_publishers_digest_is_that_of_the_container(tmp_path):
    packed = tmp_path / "x.gz"
    packed.write_bytes(gzip.compress(b"x", mtime=0))
    wanted = f"md5:{hashlib.md5(packed.read_bytes()).hexdigest()}"
    assert verified_content(packed, wanted, of_container=True) == b"x"
    with pytest.raises(VaelineError, match="wrong content"):
        verified_content(packed, wanted, of_container=False)
    packed.write_bytes(gzip.compress(bytes(100)))
    with pytest.raises(VaelineError, match=r"when unpacked, at most 99 are read \(data\.limits\.bytes\)"):
        verified_content(packed, wanted, True, Limit(99, "data.limits.bytes"))


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_has_two_mirrors_ten_classes_and_four_digests(name):
    source = SOURCES[name]
    assert len(source.mirrors) >= 2
    assert len(set(source.digests.values())) == 4
    assert len(source.classes) == 10
    assert all(len(value) in {len("md5:") + 32, len("sha256:") + 64} for value in source.digests.values())


@needs_mnist
def test_real_mnist_comes_through_the_mirror_setting(monkeypatch, tmp_path):
    monkeypatch.setenv(MIRROR_VARIABLE, str(MIRROR))
    download("mnist", tmp_path / "out", tmp_path / "cache")
    assert (tmp_path / "out" / "train-images-idx3-ubyte").stat().st_size == 47_040_016
