from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from vaeline.artifacts import digest
from vaeline.errors import VaelineError
from vaeline.images.limits import FOREIGN, Limit
from vaeline.ingestion import arrivals as module
from vaeline.ingestion.arrivals import FETCHED, INCOMING, arrivals, at_hand, open_uri


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with two batches, and what is none: a page, and an upload that is not whole."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "place"
    (folder / "pictures" / "3").mkdir(parents=True)
    (folder / "pictures" / "3" / "1.png").write_bytes(b"one")
    np.savez(folder / "week.npz", images=np.zeros((2, 28, 28), "uint8"))
    (folder / "README.md").write_text("a page")
    (folder / ".week-2.npz").write_bytes(b"half")
    return folder


def fetched(found, tmp_path):
    copies = {}
    for arrival in found:
        with at_hand(arrival, tmp_path / "scratch") as path:
            assert path.name == arrival.name
            copies[arrival.name] = digest(path)
        assert not (tmp_path / "scratch").exists()
    return copies


def in_memory(place):
    memory = MemoryFileSystem()
    for file in place.rglob("*"):
        if file.is_file():
            memory.pipe_file(f"/{place.parent.name}/{file.relative_to(place)}", file.read_bytes())
    return f"memory://{place.parent.name}"


def dvc_remote(place, name="place"):
    (place.parent / ".dvc").mkdir()
    settings = f'[core]\nno_scm = true\n[\'remote "depot"\']\n    url = "../{name}"\n'
    (place.parent / ".dvc/config").write_text(settings, encoding="utf-8")
    return "remote://depot"


@pytest.mark.parametrize("source", [str, lambda place: f"file://{place}", in_memory, dvc_remote])
def test_children_of_folders_and_uris_are_batches(place, tmp_path, source):
    uri = source(place)
    found = arrivals(uri)
    assert [(arrival.name, arrival.path) for arrival in found] == [("pictures", None), ("week.npz", None)]
    assert found[1].origin == f"{uri}/week.npz"
    expected = {name: digest(place / name) for name in ("pictures", "week.npz")}
    assert fetched(found, tmp_path) == expected
    assert {file.name for file in place.iterdir()} == {"pictures", "week.npz", "README.md", ".week-2.npz"}


@pytest.mark.parametrize("name", ["50%", "a%20b", "who?", "#1", "ä ö 數", "a::b", "[x]*"])
@pytest.mark.parametrize("write", [str, Path.as_uri, dvc_remote])
def test_a_folder_of_any_name_is_read_by_its_path_and_by_its_uri(place, tmp_path, name, write):
    odd = place.rename(tmp_path / name)
    uri = dvc_remote(odd, odd.name) if write is dvc_remote else write(odd)
    assert fetched(arrivals(uri), tmp_path) == {name: digest(odd / name) for name in ("pictures", "week.npz")}
    filesystem, path = open_uri(uri)
    assert filesystem.isfile(f"{path}/week.npz")


def test_a_path_below_a_dvc_remote_is_found(place, tmp_path):
    dvc_remote(place)
    (arrival,) = arrivals("remote://depot/pictures")
    assert arrival.origin == "remote://depot/pictures/3"


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_one_file_is_one_batch(place, tmp_path, prefix):
    found = arrivals(f"{prefix}{place}/week.npz")
    assert [arrival.name for arrival in found] == ["week.npz"]
    assert fetched(found, tmp_path) == {"week.npz": digest(place / "week.npz")}


def test_only_what_lies_in_incoming_is_ours_to_move(place, tmp_path):
    INCOMING.parent.mkdir()
    place.rename(INCOMING)
    first = arrivals(str(INCOMING))[0]
    assert first.path == INCOMING / "pictures"
    with at_hand(first, tmp_path / "scratch") as path:
        assert path == first.path


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("nowhere", "nowhere: no such folder"),
        ("file:///nowhere/at-all", "cannot be read"),
        ("gopher://nowhere/x", "gopher://nowhere/x: cannot be read"),
        ("remote://nobody/x", "remote 'nobody' doesn't exist"),
    ],
)
def test_a_place_that_is_not_there_is_named(place, source, sentence):
    dvc_remote(place)
    with pytest.raises(VaelineError, match=sentence):
        arrivals(source)


def test_an_error_of_the_library_of_a_store_is_told_in_a_sentence(monkeypatch):
    def refuse(*arguments, **options):
        raise EOFError("the server\nhung up")

    monkeypatch.setattr(MemoryFileSystem, "ls", refuse)
    with pytest.raises(VaelineError, match=r"^memory://store: cannot be read \(the server hung up\)$"):
        arrivals("memory://store")


def test_a_batch_that_leads_out_of_its_folder_or_is_too_large_is_not_fetched(place, tmp_path):
    few, uri = Limit(10, "ingest.limits.some"), f"file://{place}/week.npz"
    for limits in ((few, FOREIGN.files), (FETCHED, replace(few, most=0))):
        (arrival,) = arrivals(uri, *limits)
        refused = pytest.raises(VaelineError, match=r"at most \d+ are read \(ingest\.limits\.some\)")
        with refused, at_hand(arrival, tmp_path / "scratch"):
            pass

    class Hostile:
        def isdir(self, child):
            return True

        def du(self, child):
            return 1

        def find(self, child):
            return [f"{child}/../../out.png"]

    with pytest.raises(VaelineError, match="lies outside the batch"):
        module._fetcher(Hostile(), "bucket/pictures", FETCHED, FOREIGN.files)(tmp_path)
