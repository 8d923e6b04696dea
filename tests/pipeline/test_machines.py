"""A finished pipeline on machines that are not like the one that it ran on.

The workspace of these tests has a name that a URI reads in another way (`conftest.py`), so that every test of this
folder is one of such paths, too.
"""

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

CANDIDATE = "models:/vae-digits-candidates/1"
MOUNT = "mount -t tmpfs -o size=64k tmpfs /dev/shm"
CAN_MOUNT = (
    os.geteuid() == 0
    and not subprocess.run(["sh", "-c", f"unshare -m sh -c '{MOUNT}'"], capture_output=True, check=False).returncode
)


def test_a_repository_that_was_moved_keeps_its_model_and_its_files(finished, tmp_path):
    moved = replace(finished, root=tmp_path / "moved 50% #2?")
    finished.run("cp", "-a", str(finished.root), str(moved.root))
    verified = moved.run("vaeline", "verify", CANDIDATE)
    assert "files of the registered model" in verified
    assert not [line for line in verified.splitlines() if "differs" in line]
    moved.run("vaeline", "registry", "check")
    run = moved.runs()[0]
    assert Path(unquote(run.info.artifact_uri.removeprefix("file://"))).is_relative_to(moved.root)
    assert moved.client().list_artifacts(run.info.run_id, "model")
    assert Path(unquote(finished.runs()[0].info.artifact_uri.removeprefix("file://"))).is_relative_to(finished.root)


def test_a_locale_without_letters_of_the_world_prints_the_summary(finished):
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii:strict"}
    assert "ELBO" in replace(finished, forked=False).run("vaeline", "summary", **ascii_only)


@pytest.mark.skipif(not CAN_MOUNT, reason="only root can mount a small /dev/shm")
def test_a_small_shared_memory_and_a_temporary_folder_on_another_device_are_enough(branch_off):
    real = replace(branch_off, forked=False)
    script = f"{MOUNT} && mkdir /dev/shm/tmp && dvc repro --force --single-item prepare"
    real.run("unshare", "-m", "sh", "-c", script, TMPDIR="/dev/shm/tmp", HTTP_PROXY="http://127.0.0.1:9")
