"""What all wrong inputs have in common: a status, one sentence, no traceback, nothing half written."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from vaeline.cli import app

OWN_STATE = ".vaeline"  # locks and scratch of vaeline, which git ignores
FRAME = re.compile(r"[│╭╮╰╯─]+")
LONGEST = 900


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of each file below a folder; of a folder, only that it is there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if OWN_STATE not in path.relative_to(folder).parts:
            about = path.lstat()
            found[str(path)] = (-1, -1) if path.is_dir() else (about.st_size, about.st_mtime_ns)
    return found


def check_sentence(said: str, words: Sequence[str]) -> None:
    """One line that is not long, without a traceback, that has these words."""
    assert "Traceback" not in said, said
    assert said.strip(), "nothing was said"
    assert "\n" not in said.strip(), said
    assert len(said) < LONGEST, said
    for word in words:
        assert word in said, said


def check_refused(folder: Path, arguments: Sequence[str], words: Sequence[str], patch: pytest.MonkeyPatch) -> None:
    """Run `vaeline` in a folder with arguments that must be refused by a sentence with these words."""
    before = tree(folder)
    patch.chdir(folder)
    patch.setenv("COLUMNS", "400")
    answer = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert answer.exit_code not in (0, None), answer.output
    check_sentence(sentence_of(answer), words)
    assert tree(folder) == before, "something was written"


def sentence_of(answer: Result) -> str:
    """What a command says on stderr. The frame that Typer draws around an error of the command line is left out."""
    if answer.exit_code != 2:
        return answer.stderr
    lines = [FRAME.sub("", line).replace("Error", "", 1).strip() for line in answer.stderr.splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(("Usage:", "Try ")))


def check_raises(read: Callable[[], object], words: Sequence[str], kind: type[Exception]) -> None:
    """A function must raise `kind` with a sentence that has these words."""
    with pytest.raises(kind) as error:
        read()
    check_sentence(str(error.value), words)
