import hashlib
import shutil
import subprocess

import pytest

from vaeline.errors import VaelineError
from vaeline.pyfunc.contents import LIST, changes, check_files, write_list


@pytest.fixture
def listed(tmp_path):
    """A folder of files with its list, and the digest of the list."""
    folder = tmp_path / "model"
    (folder / "code/vaeline").mkdir(parents=True)
    for name in ("MLmodel", "requirements.txt", "code/vaeline/errors.py", "code/vaeline/ä b.py"):
        (folder / name).write_text(name)
    return folder, write_list(folder)


def link(folder):
    (folder / "MLmodel").unlink()
    (folder / "MLmodel").symlink_to("nowhere")


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda folder: (folder / "code/vaeline/errors.py").write_text("!"), ["code/vaeline/errors.py was changed"]),
        (lambda folder: (folder / "requirements.txt").unlink(), ["requirements.txt was removed"]),
        (lambda folder: (folder / "code/sitecustomize.py").write_text(""), ["code/sitecustomize.py was added"]),
        (lambda folder: (folder / "code/.pth").write_text(""), ["code/.pth was added"]),
        (lambda folder: (folder / "code/more.py").symlink_to("../MLmodel"), ["code/more.py was added"]),
        (link, ["MLmodel was changed"]),
        (
            lambda folder: (folder / "code/vaeline/ä b.py").rename(folder / "code/c.py"),
            ["code/c.py was added", "code/vaeline/ä b.py was removed"],
        ),
    ],
)
def test_every_change_is_found_and_named(listed, spoil, found):
    folder, sha256 = listed
    spoil(folder)
    assert changes(folder, sha256) == found
    with pytest.raises(
        VaelineError,
        match=rf"^it: {found[0]}.* since it was registered, so it is not loaded; `vaeline registry restore",
    ):
        check_files(folder, sha256, "it")


def test_a_list_that_was_written_anew_is_not_the_registered_one(listed):
    folder, sha256 = listed
    (folder / "MLmodel").write_text("changed")
    write_list(folder)
    assert changes(folder, sha256) == [f"{LIST} was changed"]
    (folder / LIST).unlink()
    assert changes(folder, sha256) == [f"{LIST} is missing"]


def test_a_signature_and_byte_code_do_not_count(listed):
    folder, sha256 = listed
    (folder / "model.sig").write_text("{}")
    (folder / "code/vaeline/__pycache__").mkdir()
    (folder / "code/vaeline/__pycache__/errors.pyc").write_bytes(b"code")
    assert changes(folder, sha256) == []
    check_files(folder, sha256, "it")


@pytest.mark.usefixtures("processes")
@pytest.mark.skipif(not shutil.which("sha256sum"), reason="no sha256sum")
def test_a_common_program_reads_the_list(listed):
    folder, sha256 = listed
    assert hashlib.sha256((folder / LIST).read_bytes()).hexdigest() == sha256
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", LIST], cwd=folder, check=True)
