"""What a change of code is: what the program does, not how its file looks."""

import pytest

from vaeline.tracking.programs import PROGRAMS, program_digest, recorded_programs
from vaeline.tracking.trees import disk_tree, dvc_md5

CODE = """
class A:
    \"\"\"A class.\"\"\"
    size = 1

    def f(self, name: str) -> str:
        return f"{name!r:>{self.size}}"
"""


def digest(text: str) -> str:
    return program_digest("code.py", {"": text.encode()})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("A class.", "Another sentence."),
        ("    size = 1\n", '    size = 1  # a comment\n    """What it is."""\n\n\n'),
        ("(self, name: str)", "(\n        self,\n        name: str,\n    )"),
        ('f"{name!r:>{self.size}}"', "f'{name!r:>{self.size}}'"),
        ("size = 1", "size = 0x1"),
    ],
)
def test_comments_docstrings_and_layout_change_nothing(old, new):
    assert CODE.replace(old, new) != CODE
    assert digest(CODE.replace(old, new)) == digest(CODE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("size = 1", "size = 1.0"),
        ("size = 1", "size = True"),
        ("size = 1", 'size = "1"'),
        ("size", "length"),
        ("!r", "!s"),
        ("name: str", "name: str = ''"),
        ("class A:", "class A(B):"),
        ("        return", "        self.g()\n        return"),
    ],
)
def test_another_program_is_a_change(old, new):
    assert CODE.replace(old, new) != CODE
    assert digest(CODE.replace(old, new)) != digest(CODE)


def test_the_digest_is_fixed_so_that_every_version_of_python_gives_the_same():
    assert digest(CODE) == "ec638252b16dc98f"


def test_what_is_no_python_counts_by_its_bytes():
    assert digest("no python (") != digest("no python  (")
    assert program_digest("a.html", {"": b"# 1"}) != program_digest("a.html", {"": b"# 2"})


def test_in_a_folder_the_names_count(tmp_path):
    (tmp_path / "a.py").write_text(CODE)
    before = program_digest("folder", disk_tree(tmp_path))
    (tmp_path / "a.py").write_text(CODE + "# more\n")
    assert program_digest("folder", disk_tree(tmp_path)) == before
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert program_digest("folder", disk_tree(tmp_path)) != before


def test_what_a_run_does_not_say_git_does_if_it_has_the_very_file(project, monkeypatch):
    monkeypatch.chdir(project.root)
    path, commit = "pipeline/train.py", project.git("rev-parse", "HEAD")
    tree = disk_tree(project.root / path)
    md5 = dvc_md5(tree)
    assert recorded_programs({path: md5}, {}, [commit]) == {path: program_digest(path, tree)}
    assert recorded_programs({path: md5}, {}, []) == {}
    assert recorded_programs({path: "0" * 32}, {}, [commit]) == {}, "the commit holds another file"
    assert recorded_programs({path: md5, "data/own": md5}, {PROGRAMS: f'{{"{md5[:12]}": "said"}}'}, []) == {
        path: "said"
    }
