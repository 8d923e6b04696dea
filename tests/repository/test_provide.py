"""How what tests need is found or installed, with stand-ins for everything that would change the machine."""

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

pytestmark = pytest.mark.usefixtures("processes")

SCRIPT = ROOT / "scripts/provide.sh"
TESTS = "the tests of the MLflow UI"
NAMES = ["chromium", "chromium-browser"]
RECORD = 'echo "$(basename "$0") $*" >>"$CALLS"\n'
MISSING = RECORD + 'echo "E: Unable to locate package chromium"; exit 100\n'


@pytest.fixture
def machine(tmp_path):
    for tool in ("sh", "tail", "basename"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    (tmp_path / "calls").touch()
    return tmp_path


def stand_in(machine: Path, name: str, script: str) -> None:
    (machine / name).write_text(f"#!/bin/sh\n{script}")
    (machine / name).chmod(0o755)


def run(machine: Path, *more: str) -> tuple[str, list[str]]:
    environment = {"PATH": str(machine), "CALLS": str(machine / "calls")}
    command = [SCRIPT, "chromium", TESTS, *NAMES, *more]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stderr, (machine / "calls").read_text().splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_a_program_that_is_there_is_enough(machine, name):
    stand_in(machine, name, RECORD)
    stand_in(machine, "apt-get", RECORD)
    stand_in(machine, "id", "echo 0")
    assert run(machine) == ("", [])


def test_a_program_that_is_not_on_path_is_enough(machine, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    stand_in(elsewhere, "chromium", RECORD)
    stand_in(machine, "apt-get", RECORD)
    assert run(machine, str(elsewhere / "none"), str(elsewhere / "chromium")) == ("", [])


def test_root_installs_debians(machine):
    stand_in(machine, "apt-get", RECORD)
    stand_in(machine, "id", "echo 0")
    said, calls = run(machine)
    assert said == "provide: installing Debian's chromium, for the tests of the MLflow UI\n"
    assert calls == ["apt-get update --quiet", "apt-get install --quiet --yes --no-install-recommends chromium"]


def test_sudo_is_used_where_it_asks_no_password(machine):
    stand_in(machine, "apt-get", RECORD)
    stand_in(machine, "id", "echo 1000")
    stand_in(machine, "sudo", RECORD)
    said, calls = run(machine)
    assert "installing" in said
    assert calls[0] == "sudo -n true"
    assert all(call.startswith("sudo -n ") for call in calls)
    assert calls[-1].endswith("apt-get install --quiet --yes --no-install-recommends chromium")


@pytest.mark.parametrize(
    ("tools", "why"),
    [
        ({}, "there is no apt-get here"),
        ({"apt-get": RECORD, "id": "echo 1000"}, "installing it takes root"),
        ({"apt-get": RECORD, "id": "echo 1000", "sudo": "exit 1"}, "installing it takes root"),
        ({"apt-get": MISSING, "id": "echo 0"}, "apt-get failed: E: Unable to locate package chromium"),
    ],
)
def test_where_none_can_be_had_it_says_so_and_ends_well(machine, tools, why):
    for name, script in tools.items():
        stand_in(machine, name, script)
    said, _ = run(machine)
    assert said.splitlines()[-1] == (
        f"provide: no chromium, and none could be installed ({why}); the tests of the MLflow UI are skipped"
    )
