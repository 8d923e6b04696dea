"""Disks and stores that fail: one sentence, nothing lost, and the next run ends as an undisturbed one."""

import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from fault.catalogue import several, times, tried
from fault.commands import COMMANDS, ended
from fault.place import assert_as_undisturbed, fresh, undisturbed
from pipeline.workspace import Workspace, copy_workspace
from ruamel.yaml import YAML

SAME = "one sentence; the next `vaeline run` ends as an undisturbed one"
STAGES = ("fetch", "prepare", "validate", "classify", "train", "evaluate", "plot", "register")
DELETED = several("deleted", ("mlflow.db", "mlruns"), ("mlflow.db",), ("mlruns",))
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")


@pytest.fixture
def done(tmp_path) -> Workspace:
    """A workspace whose pipeline was run."""
    return copy_workspace(undisturbed()[0], tmp_path)


@contextmanager
def small_disk(folder: Path, size: int) -> Generator[Path]:
    """A file system of `size` bytes in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def written(folder: Path) -> int:
    """The bytes of all files below a folder, in blocks of the disk."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


@needs_root
@times(8)
def test_a_full_disk_is_one_sentence_and_the_next_run_goes_on(tmp_path, seed):
    with tried("a disk that is full at a moment of the run", seed, SAME) as this:
        most = written(undisturbed()[0].root)
        room = (most - written(fresh().root)) * ((seed * 3) % 8 + random.Random(seed).random()) / 12
        with small_disk(tmp_path / "disk", 2 * most) as disk:
            place = copy_workspace(fresh(), disk)
            remount(disk, f"size={int(shutil.disk_usage(disk).used + room)}")
            stopped = place.run("vaeline", "run", check=False)
            this.lost = f"stopped in {stopped.rpartition('Running stage')[2].partition(':')[0].strip() or 'the start'}"
            assert "Traceback" not in stopped, stopped
            remount(disk, f"size={2 * most}")
            assert_as_undisturbed(place, stopped, place.run("vaeline", "run"))


@needs_root
@several("stage", *STAGES)
@times(1)
def test_a_stage_on_a_read_only_disk_is_one_sentence(tmp_path, stage, seed):
    made, fault = undisturbed()[0], f"a disk that is read-only in the stage {stage}"
    with tried(fault, seed, "one sentence"), small_disk(tmp_path / "disk", 2 * written(made.root)) as disk:
        place = copy_workspace(made, disk)
        remount(disk, "ro")
        output = place.run("env", "PYTHONPATH=src", "python", f"pipeline/{stage}.py", check=False)
        assert "Traceback" not in output, output
        assert "vaeline: " in output
        assert "read-only" in output.lower()


@needs_root
@several("name", "promote", *(name for name in COMMANDS if name != "promote"))
@pytest.mark.parametrize("state", ["read-only", "full"])
@times(1)
def test_a_command_on_a_bad_disk_is_one_sentence_and_the_next_one_ends(tmp_path, state, name, seed):
    command, (expected, _) = COMMANDS[name], ended(name)
    fault, room = f"a disk that is {state} in `vaeline {name}`", 3 * written(command.place().root)
    with tried(fault, seed, "one sentence; the same command then ends"), small_disk(tmp_path / "disk", room) as disk:
        place = command.prepare(disk)
        remount(disk, "ro" if state == "read-only" else f"size={shutil.disk_usage(disk).used + 2**16}")
        process = place.start(*command.words)
        output, _ = process.communicate(timeout=600)
        assert "Traceback" not in output, output
        assert process.returncode == 0 or "vaeline: " in output, output
        remount(disk, f"rw,size={room}")
        command.ends_as(place, expected)


@times(1)
@pytest.mark.parametrize("torn", ["empty", "cut", "bytes"])
def test_a_torn_lock_is_mended(done, torn, seed):
    with tried(f"dvc.lock that is {torn}", seed, "`vaeline run` mends it, and trains nothing again"):
        lock = done.root / "dvc.lock"
        whole = lock.read_bytes()
        lock.write_bytes(
            {"empty": b"", "cut": whole[: whole.index(b"md5: ", len(whole) // 2) + 2], "bytes": os.urandom(900)}[torn]
        )
        for command in (("vaeline", "summary"), ("vaeline", "track", "sync")):
            output = done.run(*command, check=False)
            assert "Traceback" not in output
            assert "`vaeline run` mends a torn one" in output
        output = done.run("vaeline", "run")
        assert "dvc.lock was torn" in output
        assert "epoch 1/" not in output
        assert lock.read_bytes() == whole


def test_a_lock_with_a_conflict_is_left_alone(done):
    lock = done.root / "dvc.lock"
    conflict = f"<<<<<<< HEAD\n{lock.read_text()}=======\n>>>>>>> other\n"
    lock.write_text(conflict)
    assert "run `make resolve-lock`" in done.run("vaeline", "run", check=False)
    assert lock.read_text() == conflict


@times(1)
@pytest.mark.parametrize("damage", ["corrupt", "missing"])
@pytest.mark.parametrize("output", ["models/vae.keras", "reports/scores.parquet", "data/prepared"])
def test_a_bad_object_of_the_cache_is_made_again(done, output, damage, seed):
    with tried(f"an object of DVC's cache that is {damage} ({output})", seed, "`vaeline run` makes it again"):
        entries = YAML(typ="safe").load((done.root / "dvc.lock").read_text())["stages"]
        (md5,) = [out["md5"] for stage in entries.values() for out in stage.get("outs", []) if out["path"] == output]
        cached = done.root / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}"
        shutil.rmtree(done.root / output) if md5.endswith(".dir") else (done.root / output).unlink()
        cached.chmod(0o644)
        cached.unlink() if damage == "missing" else cached.write_bytes(cached.read_bytes()[:-9] + b"corrupted")
        cached.parent.chmod(0o755)
        if damage == "corrupt":
            cached.chmod(0o444)
        out = done.run("vaeline", "run")
        assert "Traceback" not in out
        assert_as_undisturbed(done, out + "epoch 1/1")


@times(1)
@pytest.mark.parametrize("state", ["locked", "corrupt", "newer"])
def test_a_store_that_cannot_be_used_is_one_sentence(done, state, seed):
    with tried(f"an SQLite store that is {state}", seed, "one sentence; later everything is there"):
        store = done.root / "mlflow.db"
        kept = store.read_bytes()
        done.change(plot__columns=2)
        with closing(sqlite3.connect(store, isolation_level=None)) as other:
            if state == "locked":
                other.execute("BEGIN EXCLUSIVE")
            elif state == "newer":
                other.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
            else:
                store.write_bytes(os.urandom(len(kept)))
            output = done.run("vaeline", "run", check=False)
            assert "Traceback" not in output, output
            assert "tracking store" in output
            assert "cannot be used" in output
            if state == "locked":
                other.execute("ROLLBACK")
        store.write_bytes(kept)
        done.run("vaeline", "run")
        (run,) = done.runs()
        assert run.info.status == "FINISHED"


@times(1)
@DELETED
def test_a_deleted_store_is_made_again_by_a_run(done, deleted, seed):
    with tried(f"{' and '.join(deleted)} deleted", seed, "the next `vaeline run` ends as an undisturbed one"):
        done.run("rm", "-rf", *deleted)
        output = done.run("vaeline", "run")
        assert "the store has lost this model" in output
        assert_as_undisturbed(done, output + "epoch 1/1")
        done.run("vaeline", "registry", "check")


@times(1)
@DELETED
def test_a_store_that_is_deleted_in_the_middle_of_a_run_is_made_again(tmp_path, deleted, seed):
    fault = f"{' and '.join(deleted)} deleted between training and evaluation"
    with tried(fault, seed, "the next `vaeline run` ends as an undisturbed one"):
        place = copy_workspace(fresh(), tmp_path)
        output = place.run("dvc", "repro", "classify", "train")
        place.run("rm", "-rf", *deleted)
        assert_as_undisturbed(place, output, place.run("vaeline", "run"))


@times(1)
@pytest.mark.parametrize("damage", ["deleted", "changed", "added"])
def test_files_of_versions_come_back_from_the_cache(done, damage, seed):
    with tried(f"files of registered models {damage}", seed, "`vaeline registry restore` brings them back"):
        (model,) = (done.root / "mlruns").glob("*/*/artifacts/model")
        if damage == "deleted":
            shutil.rmtree(done.root / "mlruns")
        elif damage == "changed":
            (model / "MLmodel").write_text("changed")
        else:
            (model / "code/vaeline/sitecustomize.py").write_text("")
        assert "`vaeline registry restore`" in done.run("vaeline", "registry", "check", check=False)
        assert "1 version restored, 0 left" in done.run("vaeline", "registry", "restore")
        assert "0 errors" in done.run("vaeline", "registry", "check")
        assert (model / "golden.json").is_file()
        assert "0 versions restored, 0 left" in done.run("vaeline", "registry", "restore")
        (done.root / "models/vae.keras").unlink()
        shutil.rmtree(done.root / ".dvc/cache")
        shutil.rmtree(model)
        assert "`dvc fetch --all-commits`" in done.run("vaeline", "registry", "restore", check=False)
