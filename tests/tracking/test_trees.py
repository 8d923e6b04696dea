import json

import pytest

from vaeline.artifacts import digest
from vaeline.tracking.trees import cached_tree, disk_tree, dvc_md5, recorded_tree, tree_digest, write_tree


@pytest.fixture
def folder(tmp_path):
    for name in ("a/b.py", "a.py", "a-b/c.py", ".hidden", "__pycache__/x.pyc", "z.txt"):
        file = tmp_path / "folder" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path / "folder"


@pytest.fixture
def cache(processes, tmp_path, monkeypatch):
    """An empty DVC cache in the current folder; a function that puts a content into it and returns its md5."""
    monkeypatch.chdir(tmp_path)

    def put(content: str, ending: str = "") -> str:
        md5 = dvc_md5({"": content.encode()}) + ending
        place = tmp_path / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
        return md5

    return put


def test_the_digest_is_that_of_the_same_files_on_disk(folder):
    assert tree_digest(disk_tree(folder)) == digest(folder)
    assert tree_digest(disk_tree(folder / "a.py")) == digest(folder / "a.py")
    in_memory = {name: file.read_bytes() for name, file in disk_tree(folder).items()}
    assert tree_digest(in_memory) == digest(folder)
    assert dvc_md5(in_memory) == dvc_md5(disk_tree(folder))


def test_md5s_are_those_that_dvc_gives():
    assert dvc_md5({}) == "d751713988987e9331980363e24189ce.dir"  # as a dvc.lock has it for an empty folder
    assert dvc_md5({"": b""}) == "d41d8cd98f00b204e9800998ecf8427e"
    listing = '[{"md5": "d41d8cd98f00b204e9800998ecf8427e", "relpath": "x/y"}]'
    assert dvc_md5({"x/y": b""}) == f"{dvc_md5({'': listing.encode()})}.dir"


def test_a_tree_is_written_as_it_was(folder, tmp_path):
    written = write_tree(disk_tree(folder), tmp_path / "copy")
    assert dvc_md5(disk_tree(written)) == dvc_md5(disk_tree(folder))
    assert write_tree({}, tmp_path / "empty").is_dir()
    assert write_tree({"": b"x"}, tmp_path / "file").read_text() == "x"


def test_a_folder_comes_out_of_the_cache_whole_or_not_at_all(cache, tmp_path):
    listing = [{"md5": cache("one"), "relpath": "a/1"}, {"md5": cache("two"), "relpath": "b"}]
    md5 = cache(json.dumps(listing, sort_keys=True), ".dir")
    assert dvc_md5(cached_tree(md5)) == md5
    assert write_tree(cached_tree(md5), tmp_path / "out").joinpath("a/1").read_text() == "one"
    cached_tree(md5)["b"].unlink()
    assert cached_tree(md5) is None
    assert cached_tree("f" * 32) is None


@pytest.mark.parametrize("relpath", ["../../out", "/tmp/out", "a/../../out"])
def test_a_list_that_leads_out_of_the_folder_is_no_folder(cache, relpath):
    md5 = cache(json.dumps([{"md5": cache("one"), "relpath": relpath}]), ".dir")
    assert cached_tree(md5) == {}


def test_what_was_changed_in_the_cache_is_not_taken_for_the_recorded(cache, tmp_path):
    md5 = cache("one")
    assert recorded_tree("nowhere", md5)
    cached_tree(md5)[""].write_text("two")
    assert recorded_tree("nowhere", md5) is None
    (tmp_path / "here").write_text("one")
    assert recorded_tree("here", md5)[""].name == "here"
    folder = cache("no list", ".dir")
    assert recorded_tree("nowhere", folder) is None
