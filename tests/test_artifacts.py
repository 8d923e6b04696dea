import socket
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from vaeline.artifacts import atomic_directory, atomic_file, canonical_json, digest, write_json

WRITING = """
import sys, time
from vaeline.artifacts import *
with atomic_file(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print(flush=True)
    time.sleep(600)
"""


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_directory_leaves_the_old_one_and_nothing_else(tmp_path):
    target = tmp_path / "folder"
    with atomic_directory(target) as temporary:
        (temporary / "a").write_text("old")
    with pytest.raises(RuntimeError), atomic_directory(target) as temporary:
        (temporary / "a").write_text("half")
        raise RuntimeError
    assert (target / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.usefixtures("processes")
def test_what_a_killed_process_left_is_removed_and_what_another_process_writes_is_not(tmp_path):
    command = [sys.executable, "-c", WRITING, tmp_path / "file.txt"]
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": ""}
    alive, killed = (subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(2))
    for process in (alive, killed):
        process.stdout.readline()
    assert len(list(tmp_path.iterdir())) == 2
    killed.kill()
    killed.wait()
    (tmp_path / ".file.txt-").mkdir()
    with atomic_file(tmp_path / "file.txt") as temporary:
        temporary.write_text("whole")
    alive.kill()
    alive.wait()
    assert sorted(path.name.rpartition("-")[0] for path in tmp_path.iterdir()) == [
        "",
        ".file.txt",
        f".file.txt-{socket.gethostname()}-{alive.pid}",
    ]


def test_json_does_not_depend_on_order_or_on_noise_behind_the_sixth_place(tmp_path):
    assert canonical_json({"b": 1 / 3, "a": np.float64(2)}) == canonical_json({"a": 2.0, "b": 1 / 3 + 1e-9})
    write_json(tmp_path / "x.json", {"a": np.arange(2)})
    assert (tmp_path / "x.json").read_text() == '{\n  "a": [\n    0,\n    1\n  ]\n}\n'


def test_a_directory_digest_sees_names_and_contents_but_not_byte_code(tmp_path):
    (tmp_path / "a").write_text("1")
    first = digest(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert digest(tmp_path) == first
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = digest(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({first, renamed, digest(tmp_path)}) == 3
