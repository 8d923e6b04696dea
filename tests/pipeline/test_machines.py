"""A finished pipeline on machines that are not like the one that it ran on.

The workspace of these tests has a name that a URI reads in another way (`conftest.py`), so that every test of this
folder is one of such paths, too.
"""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from pipeline.workspace import copy_workspace

CANDIDATE = "models:/vae-digits-candidates/1"
MOUNT = "mount -t tmpfs -o size=64k tmpfs /dev/shm"
OTHER_DEVICES = "mv data ../held && mkdir data && mount -t tmpfs tmpfs data && cp -a ../held/. data"
NOBODY, GROUP = 65534, 4000
PLAIN_USER = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", f"--regid={GROUP}", "--clear-groups")
CAN_BE_PLAIN = os.geteuid() == 0 and bool(shutil.which("setpriv"))
CAN_MOUNT = (
    os.geteuid() == 0
    and not subprocess.run(["sh", "-c", f"unshare -m sh -c '{MOUNT}'"], capture_output=True, check=False).returncode
)


def test_a_repository_that_was_moved_keeps_its_model_and_its_files(finished, tmp_path):
    moved = replace(finished, root=tmp_path / "moved 50% #2? ü 數")
    finished.run("cp", "-a", str(finished.root), str(moved.root))
    verified = moved.run("vaeline", "verify", CANDIDATE)
    assert "files of the registered model" in verified
    assert not [line for line in verified.splitlines() if "differs" in line]
    moved.run("vaeline", "registry", "check")
    run = moved.runs()[0]
    assert Path(unquote(run.info.artifact_uri.removeprefix("file://"))).is_relative_to(moved.root)
    assert moved.client().list_artifacts(run.info.run_id, "model")
    assert Path(unquote(finished.runs()[0].info.artifact_uri.removeprefix("file://"))).is_relative_to(finished.root)


def test_a_locale_without_letters_of_the_world_prints_the_summary_in_a_folder_that_has_them(finished, tmp_path):
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    copy = replace(copy_workspace(finished, tmp_path, "ü 數"), forked=False)
    assert "ELBO" in copy.run("vaeline", "summary", **ascii_only)


@pytest.mark.skipif(not CAN_BE_PLAIN, reason="only root can be another user")
def test_another_user_needs_trust_and_rights_and_a_group_can_share_a_repository(branch_off, tmp_path):
    real, user = replace(branch_off, forked=False), {"HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}

    def run(check: bool) -> str:
        """`vaeline run` as a user who has no rights but those of files, and who is not nobody."""
        return real.run("sh", "-c", 'umask 002; exec "$@"', "sh", *PLAIN_USER, "vaeline", "run", check=check, **user)

    for path in (real.root, *real.root.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    assert run(check=False).startswith(f"vaeline: another user owns the repository {real.root}, so git does not read")
    real.run("git", "config", "--global", "--add", "safe.directory", str(real.root), **user)
    refused = run(check=False)
    assert refused.startswith("vaeline: this user may not write or read here (")
    assert refused.count("\n") == 1
    assert "`chmod -R g+rwX .`" in refused
    real.run("chgrp", "-R", str(GROUP), ".")
    real.run("chmod", "-R", "g+rwX", ".")
    assert "ELBO" in run(check=True)


def test_a_clone_of_depth_1_ends_with_the_same_model_and_names_what_it_lacks(branch_off, tmp_path):
    branch_off.run("git", "add", "--all")
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    branch_off.run("git", *identity, "commit", "--quiet", "--message", "Run")
    clone = replace(branch_off, root=tmp_path / "clone")
    branch_off.run("git", "clone", "--quiet", "--depth", "1", branch_off.root.as_uri(), str(clone.root))
    clone.share_cache(branch_off)
    clone.run("vaeline", "run")
    assert clone.run("git", "status", "--porcelain") == ""
    assert "this clone is shallow; `git fetch --unshallow` brings" in clone.run("vaeline", "track", "sync")


@pytest.mark.skipif(not CAN_MOUNT, reason="only root can mount a small /dev/shm")
def test_a_small_shared_memory_and_data_and_a_temporary_folder_on_other_devices_are_enough(branch_off):
    real = replace(branch_off, forked=False)
    script = f"{MOUNT} && mkdir /dev/shm/tmp && {OTHER_DEVICES} && dvc repro --force --single-item prepare"
    real.run("unshare", "-m", "sh", "-c", script, TMPDIR="/dev/shm/tmp", HTTP_PROXY="http://127.0.0.1:9")
