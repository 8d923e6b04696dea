"""Repeat a training from its commit, in a temporary checkout, and compare the result with the records."""

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, cast

from mlflow.entities import Run
from ruamel.yaml import YAML

from vaeline.artifacts import digest
from vaeline.data.accepted import BATCHES
from vaeline.errors import VaelineError
from vaeline.outputs import METRICS, MODEL, PREPARED
from vaeline.processes import end_group, raising
from vaeline.provenance.evidence import COMMIT_TAG, ENVIRONMENT_TAG, KeptLock, about_commit, home_commit
from vaeline.provenance.verify import AGREES, DIFFERS, UNCHECKED, LineageCheck, compare, differing
from vaeline.scores import metric_of
from vaeline.stages import DVC_FILE, Stage, made_deps, maker, read_stages, stages_up_to
from vaeline.tracking.git import git
from vaeline.tracking.history import RecordedLock
from vaeline.tracking.lineage import ENVIRONMENT_LOCK, machine_tags
from vaeline.tracking.locks import LOCK_FILE, Stages, outs, read_lock
from vaeline.tracking.runs import DIGEST_TAG
from vaeline.tracking.sqlite import sqlite_uri
from vaeline.tracking.store import DATABASE
from vaeline.tracking.sync import grouped_metrics
from vaeline.tracking.trees import recorded_tree, write_tree

REPEATED = tuple(map(metric_of, ("neg_elbo", "reconstruction", "nll_bound", "mse")))
LEFT_OUT = ("MLFLOW_", "DVC_", "GIT_")
GRACE_SECONDS = 10
# The guard cleans up when its pipe is closed, even if this process was killed. The last line on the pipe names the
# process group that still runs; it is empty if none runs.
GUARD = """
while read -r line; do group=$line; done
[ -z "$group" ] || kill -s KILL -- "-$group"
git worktree remove --force --force "$1/checkout"
rm -rf "$1"
"""


@dataclass(frozen=True)
class Retrained:
    """The result of the repeated pipeline: its `dvc.lock`, the SHA-256 of its model and its metrics."""

    stages: Stages
    model_sha256: str
    metrics: Mapping[str, float]


def require_lock(run: Run, lock: KeptLock | None) -> KeptLock:
    """The lock of the run. Raises VaelineError if it is lost."""
    if lock is None:
        raise VaelineError(f"the dvc.lock of the run {run.info.run_name} is lost; the run cannot be trained again")
    return lock


def commit_to_retrain(run: Run, lock: KeptLock, recorded: Sequence[RecordedLock]) -> str:
    """The commit to train from: the commit that recorded the run and its evaluation, else the training's own commit.

    Raises:
        VaelineError: no commit of this repository has the code and parameters of the training.
    """
    home = home_commit(run, lock, recorded)
    for commit in dict.fromkeys(filter(about_commit, filter(None, (lock.commit, home)))):
        if not differing(lock.stages, "train", commit):
            return commit
    claimed = run.data.tags.get(COMMIT_TAG, "")[:12] or "no commit"
    raise VaelineError(
        f"the run {run.info.run_name} was trained from {claimed} with changes that no commit of this repository has"
    )


def retrain(lock: KeptLock, commit: str) -> Retrained:
    """Run the pipeline of `commit` up to `evaluate`, from the recorded images, with the present environment.

    The checkout, its DVC cache and its store are in a temporary folder. It is always removed at the end, also after a
    failure, Ctrl-C or any signal. The source images and the classifier are restored if they are available. All other
    outputs are made anew.

    Raises:
        VaelineError: the checkout failed, or a stage failed.
    """
    with raising(signal.SIGTERM, signal.SIGHUP), _checkout(commit) as (folder, guard):
        _prepare(folder, lock.stages)
        last = maker(read_stages(folder), METRICS)
        _run([sys.executable, "-m", "dvc", "repro", "--no-run-cache", last], folder, _environment(folder), guard)
        metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        stages = read_lock((folder / LOCK_FILE).read_bytes())
        return Retrained(stages, digest(folder / MODEL), grouped_metrics(metrics))


def compare_retrained(
    run: Run, lock: KeptLock, commit: str, found: Retrained, tolerance: float
) -> Iterator[LineageCheck]:
    """Compare the repeated training with the run: bit by bit on the same kind of machine, else by the test losses.

    `tolerance` is relative to the recorded loss.
    """
    recorded, made = outs(lock.stages, "prepare").get(PREPARED, ""), outs(found.stages, "prepare").get(PREPARED, "")
    yield compare(f"retrained {PREPARED}", recorded, made, "made anew from the source")
    exact, kind = compare(f"retrained {MODEL}", run.data.tags.get(DIGEST_TAG, ""), found.model_sha256), other_kind(run)
    by_bits = exact.verdict == AGREES or not kind
    yield (
        replace(exact, note="bit by bit") if by_bits else replace(exact, verdict=UNCHECKED, note=f"other bits: {kind}")
    )
    last = maker(read_stages(), METRICS)
    if differing(lock.stages, last, commit):
        yield LineageCheck(
            "retrained losses", UNCHECKED, note=f"the evaluation of {commit[:12]} has another protocol than the run"
        )
    elif by_bits:
        recorded, made = (outs(stages, last).get(METRICS, "") for stages in (lock.stages, found.stages))
        yield compare(f"retrained {METRICS}", recorded, made, "bit by bit")
    else:
        for name in REPEATED:
            if name in run.data.metrics:
                yield _near(name, run.data.metrics[name], found.metrics.get(name, math.nan), tolerance)


def restored_stages(declared: Mapping[str, Stage]) -> list[str]:
    """The stages before `evaluate` that a repeated training takes over: the source images, and the classifier.

    They are the stages that read no other stage's output, and those that the training does not need.
    """
    last, needed = maker(declared, METRICS), stages_up_to(declared, maker(declared, MODEL))
    before = [name for name in stages_up_to(declared, last) if name != last]
    return [name for name in before if name not in needed or not made_deps(declared, name)]


def other_kind(run: Run) -> str:
    """The differences between this machine and environment and the run's; empty if equal bits are expected."""
    here = machine_tags() | {ENVIRONMENT_TAG: digest(ENVIRONMENT_LOCK)}
    then = {tag: run.data.tags.get(tag, "unknown") for tag in here}
    return ", ".join(
        f"{tag.removeprefix('vaeline.')} was {then[tag]}, is {here[tag]}" for tag in here if then[tag] != here[tag]
    )


def _near(name: str, recorded: float, found: float, tolerance: float) -> LineageCheck:
    near = abs(found - recorded) <= tolerance * abs(recorded)
    note = f"within {tolerance:.1%} of the recorded value"
    return LineageCheck(f"retrained {name}", AGREES if near else DIFFERS, f"{recorded:.4f}", f"{found:.4f}", note)


@contextmanager
def _checkout(commit: str) -> Generator[tuple[Path, IO[str]]]:
    """A checkout of the commit in a temporary folder of its own, and the pipe to its `GUARD`."""
    scratch = Path(tempfile.mkdtemp(prefix="vaeline-retrain-")).resolve()
    top = scratch / "checkout"
    guard = subprocess.Popen(
        ["sh", "-c", GUARD, "guard", str(scratch)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
        start_new_session=True,
    )
    try:
        no_hooks = ["git", "-c", f"core.hooksPath={os.devnull}"]  # DVC's hooks would fill the folder from its cache
        done = subprocess.run(
            [*no_hooks, "worktree", "add", "--detach", str(top), commit], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise VaelineError(f"{commit[:12]} cannot be checked out: {done.stderr.strip().splitlines()[-1]}")
        yield top / git("rev-parse", "--show-prefix"), cast("IO[str]", guard.stdin)
    finally:
        guard.communicate()


def _prepare(folder: Path, stages: Stages) -> None:
    """Give a checkout an empty DVC cache and the available accepted batches.

    Restore the available outputs of `restored_stages`, and freeze these stages.
    """
    places = {"core": ("site_cache_dir", "site"), "cache": ("dir", "cache")}
    settings = [f'[{part}]\n{key} = "{folder.parent / name}"\n' for part, (key, name) in places.items()]
    (folder / ".dvc" / "config.local").write_text("".join(settings), encoding="utf-8")
    yaml = YAML()
    pipeline, kept = yaml.load(folder / DVC_FILE), {}
    for stage in restored_stages(read_stages(folder)):
        declared = pipeline["stages"].get(stage, {}).get("outs", [])
        recorded = {path: md5 for path, md5 in outs(stages, stage).items() if path in declared}
        trees = {path: tree for path, md5 in recorded.items() if (tree := recorded_tree(path, md5)) is not None}
        if trees and len(trees) == len(recorded):
            for path, tree in trees.items():
                write_tree(tree, folder / path)
            pipeline["stages"][stage]["frozen"] = True
            kept[stage] = stages[stage]
    for pointer in (folder / BATCHES).glob("*.dvc"):
        path = BATCHES / pointer.stem
        if tree := recorded_tree(str(path), yaml.load(pointer)["outs"][0]["md5"]):
            write_tree(tree, folder / path)
    yaml.dump(pipeline, folder / DVC_FILE)
    yaml.dump({"schema": "2.0", "stages": kept}, folder / LOCK_FILE)


def _environment(folder: Path) -> dict[str, str]:
    """This process's environment with a store of its own, and without variables that name things outside the folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT)}
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    own = {"MLFLOW_TRACKING_URI": sqlite_uri(folder.parent / DATABASE), "MLFLOW_DISABLE_TELEMETRY": "true"}
    code = {"PATH": binaries, "PYTHONPATH": str(folder / "src")}  # the code of the checkout, not of this process
    return kept | own | code | {"DVC_NO_ANALYTICS": "1"}


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str], guard: IO[str]) -> None:
    """Run a command with its output on stderr. If this process is stopped, the command and its children end first."""
    process = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True, stdout=2)
    try:
        guard.write(f"{process.pid}\n")
        status = process.wait()
    except BaseException:
        end_group(process, GRACE_SECONDS)
        raise
    finally:
        guard.write("\n")
    if status:
        raise VaelineError(f"the pipeline of this commit failed with exit status {status}; its output above says why")
