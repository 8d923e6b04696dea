"""What the bootstrap does when a machine lacks something, with stand-ins for `python3`, and how a lock is added."""

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

pytestmark = pytest.mark.usefixtures("processes")

TOO_OLD = """case "$1" in --version) echo "Python 3.9.2";; *) exit 1;; esac"""
BARE = """
case "$*" in
  --version) echo "Python 3.12.1" ;;
  *ensurepip*|"-m pip"*) exit 1 ;;
esac
"""
WITH_PIP = BARE.replace('|"-m pip"*', "") + 'echo "$*" >>calls\n'


@pytest.fixture
def machine(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "bin").mkdir()
    for script in ("bootstrap.sh", "add_lock.sh"):
        shutil.copy(ROOT / "scripts" / script, tmp_path / "scripts")
    for tool in ("sh", "dirname", "rm"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    return tmp_path


def stand_in(program: Path, script: str) -> Path:
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)
    return program


def bootstrap(machine: Path, python: str, **environment: str) -> subprocess.CompletedProcess:
    stand_in(machine / "bin/python3", python)
    return subprocess.run(
        [machine / "scripts/bootstrap.sh"],
        env={"PATH": str(machine / "bin"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_too_old_a_python_gets_one_sentence(machine):
    done = bootstrap(machine, TOO_OLD)
    assert done.returncode == 1
    assert done.stderr.startswith("bootstrap: vaeline needs Python 3.11, 3.12 or 3.13, but found: Python 3.9.2.")
    assert "make PY=" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_python_that_was_named_is_not_replaced_by_another(machine):
    done = bootstrap(machine, BARE, PY="/no/such/python")
    assert done.returncode == 1
    assert "no usable /no/such/python" in done.stderr


def test_neither_ensurepip_nor_pip_says_what_to_install(machine):
    done = bootstrap(machine, BARE)
    assert done.returncode == 1
    assert "apt install python3-venv" in done.stderr


def test_without_ensurepip_the_other_pip_fills_the_environment(machine):
    done = bootstrap(machine, WITH_PIP)
    calls = (machine / "calls").read_text().splitlines()
    assert "-m venv --without-pip .venv" in calls
    installs = [call for call in calls if call.startswith("-m pip --python .venv/bin/python install")]
    assert [call.split("-r ")[-1] for call in installs[:2]] == ["build.lock", "requirements.lock"]
    assert all("--require-hashes" in call for call in installs[:2])
    assert "--no-binary antlr4-python3-runtime" in installs[1]
    assert installs[2].endswith("--no-build-isolation -e .")
    assert done.returncode != 0, "the stand-in makes no environment, so telling DVC about it must fail"


@pytest.mark.parametrize("installer", ["uv", "own", "base"])
def test_a_lock_is_added_by_whichever_installer_there_is(machine, installer):
    base = stand_in(machine / "base/python", 'echo "base: $*" >>calls\n')
    own = {"own": 'echo "own: $*" >>calls', "base": f'case "$1" in -m) exit 1 ;; esac; echo {base}'}
    stand_in(machine / ".venv/bin/python", own.get(installer, "exit 1"))
    if installer == "uv":
        stand_in(machine / "bin/uv", 'echo "uv: $*" >>calls\n')
    environment = {"PATH": str(machine / "bin")}
    subprocess.run(
        [machine / "scripts/add_lock.sh", "scale.lock", "--no-binary", "pyspark"], env=environment, check=True
    )
    call = (machine / "calls").read_text().splitlines()[-1]
    begins = {
        "uv": "uv: pip install",
        "own": "own: -m pip install",
        "base": "base: -m pip --python .venv/bin/python install",
    }
    assert call.startswith(begins[installer])
    assert "--no-deps --require-hashes --only-binary :all: --no-binary pyspark -r scale.lock" in call
    assert ("--python .venv/bin/python" in call) == (installer != "own")
