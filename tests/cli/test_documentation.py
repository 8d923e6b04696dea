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
