"""The shell scripts, with stand-ins for the programs that they ask: what fails there must fail here."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("processes")

UP_TO_DATE = "echo Data and pipelines are up to date."


@pytest.fixture
def run(tmp_path):
    """Run a script with these shell lines in the place of git and dvc: exit status and all that was said."""

    def run_script(name: str, **programs: str) -> tuple[int, str]:
        for folder in ("scripts", "bin"):
            (tmp_path / folder).mkdir(exist_ok=True)
        shutil.copy(Path("scripts") / name, tmp_path / "scripts")
        for program, lines in programs.items():
            (tmp_path / "bin" / program).write_text(f"#!/bin/sh\n{lines}\n")
            (tmp_path / "bin" / program).chmod(0o755)
        environment = os.environ | {"PATH": f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}", "VAELINE_REMOTE": "r"}
        done = subprocess.run(
            ["sh", tmp_path / "scripts" / name], env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run_script


def test_a_lock_is_not_resolved_where_git_cannot_say_what_is_unmerged(run):
    status, said = run("resolve_lock.sh", git="exit 128", dvc="echo DVC RUNS")
    assert status == 128
    assert "DVC RUNS" not in said


def test_a_lock_is_not_resolved_before_the_other_conflicts_are(run):
    status, said = run("resolve_lock.sh", git="echo params.yaml", dvc="echo DVC RUNS")
    assert status == 1
    assert "merge these by hand" in said
    assert "params.yaml" in said
    assert "DVC RUNS" not in said


@pytest.mark.parametrize(
    ("dvc", "status", "sentence"),
    [
        (f'if [ "$1" = repro ]; then {UP_TO_DATE}; else echo "{{}}"; fi', 0, "dvc.lock is up to date"),
        (f'if [ "$1" = repro ]; then {UP_TO_DATE}; else exit 7; fi', 7, ""),
        (f'if [ "$1" = repro ]; then {UP_TO_DATE}; else echo not_in_remote; fi', 1, "the remote lacks"),
        (f"{UP_TO_DATE}; exit 255", 1, "dvc.lock is not up to date"),
        ("echo Running stage", 1, "dvc.lock is not up to date"),
    ],
)
def test_a_pipeline_is_verified_only_by_answers(run, dvc, status, sentence):
    assert run("verify_pipeline.sh", dvc=dvc)[0] == status
    assert sentence in run("verify_pipeline.sh", dvc=dvc)[1]
