"""The pages name every command, and their examples use options that exist."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from conftest import ROOT

from vaeline.cli import app

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(group: Any, prefix: str = "") -> dict[str, Any]:
    """Every command by the words that call it."""
    found = {}
    for name, command in group.commands.items():
        inner = commands(command, f"{prefix}{name} ") if hasattr(command, "commands") else {prefix + name: command}
        found |= inner
    return found


COMMANDS = commands(typer.main.get_command(app))


def examples(page: Path) -> list[list[str]]:
    """The words of every `vaeline …` in the shell blocks of a page."""
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^(?:\$ )?(vaeline .*)$", "".join(blocks), re.MULTILINE)
    parts = [part for line in lines for part in " ".join(shlex.split(line, comments=True)).split(" && ")]
    return [part.split()[1:] for part in parts]


def test_the_page_of_commands_has_an_example_of_each():
    shown = {" ".join(words) for words in examples(ROOT / "docs/commands.md")}
    missing = {name for name in COMMANDS if not any(f"{line} ".startswith(f"{name} ") for line in shown)}
    assert missing == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_use_options_that_exist(page):
    for words in examples(page):
        name = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]
        assert name in COMMANDS, words
        known = {
            option for parameter in COMMANDS[name].params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        used = {word.partition("=")[0] for word in words if re.match(r"-{1,2}[a-z]", word)}
        assert used <= known, words


@pytest.mark.parametrize("page", ["faults.md", "security.md"])
def test_every_test_that_a_page_names_exists(page):
    """A page names a file or a folder of tests, or `file.py::function`."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?`", text)
    assert len(named) == len(re.findall("`tests/", text)) > 10
    for file, function in named:
        assert (ROOT / file).exists(), file
        assert not function or f"\ndef {function}(" in (ROOT / file).read_text(encoding="utf-8"), (file, function)


def test_the_page_of_faults_has_each_numbered_kind_with_a_test():
    rows = re.findall(r"^\| (\d+) \|.*\|(.*)\|$", (ROOT / "docs/faults.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 29))
    assert all("`tests/" in tests for _, tests in rows)
