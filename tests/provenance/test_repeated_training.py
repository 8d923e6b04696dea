"""Training again: where from, in a folder that is gone afterwards whatever happens, and what counts as the same."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from conftest import ROOT
from ruamel.yaml import YAML

from vaeline.data.accepted import BATCHES
from vaeline.errors import VaelineError
from vaeline.outputs import METRICS, MODEL
from vaeline.provenance import repeated_training as again
from vaeline.provenance.evidence import ENVIRONMENT_TAG, KeptLock, lock_of
from vaeline.provenance.repeated_training import (
    Retrained,
    commit_to_retrain,
    compare_retrained,
    other_kind,
    require_lock,
    retrain,
)
from vaeline.provenance.verify import AGREES, DIFFERS, UNCHECKED
from vaeline.stages import read_stages
from vaeline.tracking.history import lock_on_disk, recorded_locks
from vaeline.tracking.lineage import machine_tags
from vaeline.tracking.locks import outs
from vaeline.tracking.runs import DIGEST_TAG, set_tags

CANDIDATE = "models:/vae-digits-candidates/2"


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)


@pytest.fixture(autouse=True)
def _is_a_dvc_project(project):
    project.write(".dvc/config", "[core]\n    analytics = false\n")
    project.commit("Use DVC")


@pytest.fixture
def run(two_models):
    return two_models[2]


@pytest.fixture
def lock(client, run) -> KeptLock:
    return lock_of(client, run, recorded_locks()[0])


@pytest.fixture
def same_kind(project, client, run):
    """The run, said to have been trained on this machine with this environment."""
    return with_tags(client, run, machine_tags() | {ENVIRONMENT_TAG: run.data.tags[ENVIRONMENT_TAG]})


@pytest.fixture
def repeated(run, lock) -> Retrained:
    """What a training gives that gives the same."""
    return Retrained(lock.stages, run.data.tags[DIGEST_TAG], dict(run.data.metrics))


def with_tags(client, run, tags: dict[str, str]):
    set_tags(client, run.info.run_id, tags)
    return client.get_run(run.info.run_id)


def with_out(stages, stage: str, path: str, md5: str):
    """The stages, of which one made something else."""
    changed = json.loads(json.dumps(stages))
    next(entry for entry in changed[stage]["outs"] if entry["path"] == path)["md5"] = md5
    return changed


def another(found: Retrained, loss: float) -> Retrained:
    """A training that gave another model, and metrics of other bits."""
    stages = with_out(found.stages, "evaluate", "reports/metrics.json", "0" * 32)
    return replace(found, stages=stages, model_sha256="0" * 64, metrics={"test/neg_elbo": loss})


def verdicts(checks) -> dict[str, str]:
    return {item.name.removeprefix("retrained "): item.verdict for item in checks}


def use_dvc(project) -> str:
    """Let each stage copy what it makes from a folder in git; the commit that has it."""
    (project.root / "made").mkdir()
    for path in ("data/prepared", "reports", "models"):
        subprocess.run(["cp", "-r", "--parents", path, "made"], cwd=project.root, check=True)
    project.git("add", "--force", "made")
    yaml = YAML()
    pipeline = yaml.load(project.root / "dvc.yaml")
    for stage in ("prepare", "validate", "train", "evaluate"):
        made = " ".join(pipeline["stages"][stage]["outs"])
        pipeline["stages"][stage]["cmd"] = f'test "$PYTHONPATH" = "$PWD/src" && cd made && cp -r --parents {made} ..'
    pipeline["stages"]["evaluate"]["outs"][-1] = {"reports/metrics.json": {"cache": False}}  # git has it
    yaml.dump(pipeline, project.root / "dvc.yaml")
    return project.commit("Copy what was made")


def use_script(project, script: str) -> str:
    """A commit in whose checkout another program is called DVC."""
    project.write("src/dvc/__init__.py", "")
    project.write("src/dvc/__main__.py", script)
    return project.commit("Another DVC")


def remains(project) -> list[str]:
    """Worktrees and folders that a retraining left."""
    worktrees = project.git("worktree", "list", "--porcelain").count("worktree ") - 1
    return [*map(str, Path(os.environ["TMPDIR"]).glob("vaeline-retrain-*")), *["worktree"] * worktrees]


def is_running(pid: int) -> bool:
    """Whether a process is there, and is more than an entry that nobody has asked for yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def soon(condition) -> bool:
    """Whether it comes true within a minute."""
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_a_run_is_trained_again_from_the_commit_that_recorded_it(project, run, lock):
    assert commit_to_retrain(run, lock, recorded_locks()[0]) == project.git("rev-parse", "HEAD~1") == lock.commit


def test_where_the_recording_commit_has_other_code_it_is_the_training_s_own(project, client, run, lock):
    home = lock.commit
    project.write("src/models/network.py", "print('other')")
    later = project.commit("Other code")
    assert commit_to_retrain(run, replace(lock, commit=later), []) == home


def test_what_no_commit_holds_cannot_be_trained_again(project, client, run, lock):
    changed = json.loads(json.dumps(lock.stages))
    changed["train"]["params"]["params.yaml"]["train"]["seed"] = 77
    home = run.data.tags["mlflow.source.git.commit"]
    with pytest.raises(VaelineError, match=f"trained from {home[:12]} with changes that no commit"):
        commit_to_retrain(run, replace(lock, stages=changed), recorded_locks()[0])
    with pytest.raises(VaelineError, match=r"dvc\.lock of the run .* is lost"):
        require_lock(run, None)


def test_the_pipeline_runs_in_a_checkout_from_the_recorded_images_and_leaves_nothing(project, client, run, lock):
    commit, before = use_dvc(project), (project.root / "dvc.lock").read_bytes()
    project.write("src/models/network.py", "print('not committed')")
    found = retrain(lock, commit)  # its stage `fetch` would fail
    assert found.model_sha256 == project.model_sha256(2)
    assert found.metrics == {"test/neg_elbo": 102.0, "test_class_7/neg_elbo": 102.0}
    for stage in ("fetch", "prepare", "train", "evaluate"):
        assert outs(found.stages, stage) == outs(lock.stages, stage)
    assert "plot" not in found.stages
    assert remains(project) == []
    assert (project.root / "dvc.lock").read_bytes() == before
    assert project.git("status", "--porcelain") == "M src/models/network.py"


def test_after_a_failure_nothing_is_left(project, lock):
    commit = use_script(project, "raise SystemExit(3)")
    with pytest.raises(VaelineError, match="failed with exit status 3"):
        retrain(lock, commit)
    with pytest.raises(VaelineError, match="111111111111 cannot be checked out"):
        retrain(lock, "1" * 40)
    assert remains(project) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_shot_in_the_middle_it_leaves_neither_folder_nor_process(project, lock, number):
    commit = use_script(
        project, "import os, sys, time; print(os.getpid(), file=sys.stderr, flush=True); time.sleep(600)"
    )
    code = (
        "import json, sys; from vaeline.provenance.evidence import KeptLock; "
        "from vaeline.provenance.repeated_training import retrain; "
        "retrain(KeptLock(json.load(sys.stdin), '', ''), sys.argv[1])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, commit],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )
    process.stdin.write(json.dumps(lock.stages))
    process.stdin.close()
    at_work = int(next(line for line in process.stderr if line.strip().isdecimal()))
    assert is_running(at_work)
    assert len(remains(project)) == 2
    process.send_signal(number)
    assert process.wait(60) == (128 + number if number == signal.SIGTERM else -number)
    process.stderr.close()
    assert soon(lambda: not is_running(at_work))
    assert soon(lambda: remains(project) == [])


def test_on_the_same_kind_of_machine_bits_are_compared(same_kind, lock, repeated):
    assert other_kind(same_kind) == ""
    checks = list(compare_retrained(same_kind, lock, lock.commit, repeated, 0.5))
    assert verdicts(checks) == dict.fromkeys(("data/prepared", "models/vae.keras", "reports/metrics.json"), AGREES)
    assert [item.note for item in checks[1:]] == ["bit by bit"] * 2
    checks = compare_retrained(same_kind, lock, lock.commit, another(repeated, 102.0), 0.5)
    assert verdicts(checks) == {
        "data/prepared": AGREES,
        "models/vae.keras": DIFFERS,
        "reports/metrics.json": DIFFERS,
    }


@pytest.mark.parametrize(
    ("loss", "verdict"), [(102.0, AGREES), (103.0, AGREES), (101.0, AGREES), (103.1, DIFFERS), (float("nan"), DIFFERS)]
)
def test_on_another_kind_losses_are_compared(client, same_kind, lock, repeated, loss, verdict):
    run = with_tags(client, same_kind, {"vaeline.processor": "an abacus"})
    assert other_kind(run).startswith("processor was an abacus, is ")
    checks = list(compare_retrained(run, lock, lock.commit, another(repeated, loss), 0.01))
    assert verdicts(checks) == {"data/prepared": AGREES, "models/vae.keras": UNCHECKED, "test/neg_elbo": verdict}
    assert checks[1].note.startswith("other bits: processor was an abacus")


def test_equal_bits_count_wherever_they_were_made(run, lock, repeated):
    assert "machine was unknown" in other_kind(run)
    checks = compare_retrained(run, lock, lock.commit, repeated, 0.01)
    assert set(verdicts(checks).values()) == {AGREES}


def test_another_environment_is_another_kind(project, same_kind):
    project.write("requirements.lock", "keras==4\n")
    assert other_kind(same_kind).startswith("environment_sha256 was ")


def test_other_data_and_another_evaluation_are_told(project, client, same_kind, lock, repeated):
    other = replace(repeated, stages=with_out(repeated.stages, "prepare", "data/prepared", "0" * 32))
    assert verdicts(compare_retrained(same_kind, lock, lock.commit, other, 0.01))["data/prepared"] == DIFFERS
    project.write("pipeline/evaluate.py", "another evaluation")
    checks = compare_retrained(same_kind, lock, project.commit("Evaluate otherwise"), another(repeated, 9.0), 0.01)
    assert verdicts(checks) == {"data/prepared": AGREES, "models/vae.keras": DIFFERS, "losses": UNCHECKED}


def test_the_command_trains_again_and_fails_where_that_differs(project, client, lock, repeated, vaeline, monkeypatch):
    asked = []

    def pretend(lock, commit):
        asked.append(commit)
        return repeated

    monkeypatch.setattr(again, "retrain", pretend)
    answer = vaeline("verify", CANDIDATE, "--retrain")
    assert (answer.exit_code, asked) == (0, [lock.commit])
    assert f"again from the commit {lock.commit[:12]}" in answer.output
    assert "only losses are compared: machine was unknown" in answer.output
    assert "retrained models/vae.keras" in answer.output
    repeated = another(repeated, 104.0)
    assert vaeline("verify", CANDIDATE, "--retrain").exit_code == 1
    assert vaeline("verify", CANDIDATE, "--retrain", "--tolerance", "0.02").exit_code == 0
    assert lock_on_disk()[0].digest == lock.digest


def test_the_source_images_and_the_classifier_are_not_made_again():
    assert again.restored_stages(read_stages(ROOT)) == ["fetch", "classify"]


def test_a_checkout_gets_the_accepted_batches_that_are_at_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    BATCHES.mkdir(parents=True)
    checkout = tmp_path / "scratch/checkout"
    for folder in (checkout / BATCHES, checkout / ".dvc"):
        folder.mkdir(parents=True)
    stages = {"train": {"cmd": "train", "outs": [MODEL]}, "evaluate": {"cmd": "evaluate", "outs": [METRICS]}}
    YAML().dump({"stages": stages}, checkout / "dvc.yaml")
    (checkout / "params.yaml").write_text("{}\n")
    for batch, content in {"20260101-a": b"rows", "20260102-b": b"other rows than in the checkout"}.items():
        (BATCHES / f"{batch}.npz").write_bytes(content)
        pointer = f"outs:\n- md5: {hashlib.md5(b'rows').hexdigest()}\n  path: {batch}.npz\n"
        (checkout / BATCHES / f"{batch}.npz.dvc").write_text(pointer)
    again._prepare(checkout, {})
    assert (checkout / BATCHES / "20260101-a.npz").read_bytes() == b"rows"
    assert not (checkout / BATCHES / "20260102-b.npz").exists()
