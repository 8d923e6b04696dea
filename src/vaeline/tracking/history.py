"""Every `dvc.lock` in git's history, on all branches: which models were trained, from what, and their metrics."""

from dataclasses import dataclass

from vaeline.outputs import METRICS, MODEL
from vaeline.params.data import dataset_name
from vaeline.tracking.git import commit_trees, git, read_objects
from vaeline.tracking.lineage import ENVIRONMENT_LOCK, key_of
from vaeline.tracking.locks import (
    LOCK_FILE,
    Stages,
    code,
    deps,
    is_about_its_model,
    lock_digest,
    locked_stages,
    outs,
    params,
    read_lock,
)
from vaeline.tracking.trees import Tree, dvc_md5, recorded_tree, tree_digest


@dataclass(frozen=True)
class RecordedLock:
    """A `dvc.lock` that records a training. `commit` is empty for the lock on disk; `time` is in seconds."""

    commit: str
    time: int
    content: bytes
    stages: Stages

    @property
    def digest(self) -> str:
        """The value of the tag `vaeline.dvc_lock_sha256` for this lock."""
        return lock_digest(self.stages)

    @property
    def model_md5(self) -> str:
        """DVC's md5 of the model."""
        return outs(self.stages, "train")[MODEL]

    @property
    def dataset(self) -> str:
        """The data set: the value of `data.dataset` in params.yaml."""
        return str(params(self.stages, "fetch")["data.dataset"])

    @property
    def experiment(self) -> str:
        """The data set's short name, which is part of the experiment's name."""
        return dataset_name(self.dataset)


def recorded_locks() -> tuple[list[RecordedLock], list[str]]:
    """The locks with a trained model in all commits of all branches, oldest first, and the commits that were left out.

    Locks that a merge dropped and the experiments of DVC are included. A commit is left out if its lock cannot be
    read, for example because it contains merge conflict markers.
    """
    log = git("log", "--all", "--full-history", "--date-order", "--reverse", "--format=%H %ct", "--", str(LOCK_FILE))
    times = {commit: int(time) for commit, time in map(str.split, log.splitlines())}
    names = {commit: f"{commit}:./{LOCK_FILE}" for commit in times}
    contents = read_objects(list(names.values()))
    found, unreadable = [], []
    for commit, name in names.items():
        if name not in contents:
            continue  # this commit removed it
        try:
            stages = read_lock(contents[name])
        except ValueError:
            unreadable.append(commit)
            continue
        if MODEL in outs(stages, "train") and "data.dataset" in params(stages, "fetch"):
            found.append(RecordedLock(commit, times[commit], contents[name], stages))
    return found, unreadable


def lock_on_disk() -> list[RecordedLock]:
    """The lock on disk, without a commit; empty if there is no lock or it records no training."""
    stages = locked_stages()
    recorded = MODEL in outs(stages, "train") and "data.dataset" in params(stages, "fetch")
    return [RecordedLock("", 0, LOCK_FILE.read_bytes(), stages)] if recorded else []


def differing_code(stages: Stages, stage: str, commit: str) -> list[str]:
    """The code paths of a stage that the commit lacks, or has with other content than the lock records."""
    recorded = code(stages, stage)
    held = commit_trees(commit, recorded)
    return [path for path, md5 in recorded.items() if (tree := held[path]) is None or dvc_md5(tree) != md5]


def recorded_key(stages: Stages, commit: str) -> str:
    """The train key from the commit's code and the recorded data; empty if any of these is not available."""
    recorded = code(stages, "train")
    trees = commit_trees(commit, recorded)
    trees |= {path: recorded_tree(path, md5) for path, md5 in deps(stages, "train").items() if path not in recorded}
    held = {path: tree for path, tree in trees.items() if tree is not None}
    if len(held) < len(trees) or differing_code(stages, "train", commit):
        return ""
    digests = {path: tree_digest(tree) for path, tree in held.items()}
    return key_of(stages["train"]["cmd"], params(stages, "train"), digests)


def recorded_metrics(lock: RecordedLock) -> Tree | None:
    """`reports/metrics.json` of the lock's commit; None unless it belongs to the model of the lock."""
    tree = commit_trees(lock.commit, [METRICS])[METRICS]
    recorded = is_about_its_model(lock.stages, "evaluate") and outs(lock.stages, "evaluate").get(METRICS)
    return tree if tree is not None and dvc_md5(tree) == recorded else None


def environment_digest(commit: str) -> str:
    """SHA-256 of the commit's environment lock; empty if it has none."""
    tree = commit_trees(commit, [str(ENVIRONMENT_LOCK)])[str(ENVIRONMENT_LOCK)]
    return "" if tree is None else tree_digest(tree)
