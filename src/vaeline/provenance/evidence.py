"""Read what the store, git and `dvc.lock` record about a run and its versions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from vaeline.registry.names import SCHEME
from vaeline.registry.versions import artifact_copy, registered_version, run_id_of, uri_of
from vaeline.tracking.git import git, is_shallow
from vaeline.tracking.history import RecordedLock
from vaeline.tracking.locks import LOCK_FILE, Stages, lock_digest, read_lock
from vaeline.tracking.restore import LOCK_TAG, is_run_of
from vaeline.tracking.sync import kept_lock

COMMIT_TAG = "mlflow.source.git.commit"
DIRTY_TAG = "vaeline.git_dirty"
ENVIRONMENT_TAG = "vaeline.environment_sha256"
HEXADECIMAL = re.compile("[0-9a-f]{7,64}")


@dataclass(frozen=True)
class KeptLock:
    """The `dvc.lock` of a run: its stages, where it was found, and the first commit that has it, if there is one."""

    stages: Stages
    where: str
    commit: str

    @property
    def digest(self) -> str:
        """Its SHA-256, computed from the stages."""
        return lock_digest(self.stages)


def run_of(client: MlflowClient, trained: ModelVersion | Run) -> Run:
    """The run of a version. If `trained` is a run, this run."""
    return trained if isinstance(trained, Run) else client.get_run(run_id_of(trained))


def versions_of(client: MlflowClient, run: Run) -> list[ModelVersion]:
    """All registered versions of a run's model, with their aliases, in the order of registration."""
    found = client.search_model_versions(f"run_id = '{run.info.run_id}'")
    whole = [client.get_model_version(version.name, version.version) for version in found]
    return sorted(whole, key=lambda version: version.creation_timestamp)


def copied_from(version: ModelVersion) -> str:
    """The version that this one is a copy of, as `models:/name/version`; empty if it is no copy."""
    source = version.source or ""
    return source if source.startswith(SCHEME) else ""


def chain(client: MlflowClient, version: ModelVersion) -> list[ModelVersion]:
    """The version, its source if it is a copy, the source of that, and so on."""
    found = [version]
    while source := copied_from(found[-1]):
        if source in map(uri_of, found):
            break
        found.append(registered_version(client, source))
    return found


def lock_of(client: MlflowClient, run: Run, recorded: Sequence[RecordedLock]) -> KeptLock | None:
    """The `dvc.lock` that a run's tag names, from the run's artifacts, else from a commit or this folder.

    If none has this digest: the newest lock that records the run's model, or None.
    """
    tagged = run.data.tags.get(LOCK_TAG, "")
    exact = next((lock for lock in recorded if lock.digest == tagged), None)
    with artifact_copy(client, run.info.run_id, kept_lock(tagged)) as file:
        if file is not None:
            return KeptLock(read_lock(file.read_bytes()), "the run's artifacts", exact.commit if exact else "")
    found = exact or next((lock for lock in reversed(recorded) if is_run_of(run, lock)), None)
    if found is None:
        return None
    return KeptLock(found.stages, "git" if found.commit else f"{LOCK_FILE} on disk", exact.commit if exact else "")


def about_commit(commit: str) -> dict[str, str]:
    """Author, date, subject and branches of a commit; empty if this repository does not have it."""
    if not HEXADECIMAL.fullmatch(commit):
        return {}
    parts = git("show", "--no-patch", "--format=%an%n%aI%n%s", commit).split("\n", 2)
    if len(parts) < 3:
        return {}
    branches = git("for-each-ref", "--contains", commit, "--format=%(refname:short)", "refs/heads", "refs/remotes")
    return {**dict(zip(("author", "date", "subject"), parts, strict=True)), "branches": ", ".join(branches.split())}


def why_missing() -> str:
    """The reason why a commit is not here, in words."""
    return "this clone is shallow; `git fetch --unshallow` brings it" if is_shallow() else "this repository lacks it"


def home_commit(run: Run, lock: KeptLock | None, recorded: Sequence[RecordedLock]) -> str:
    """The commit that has the code and the parameters of a run; empty if there is none.

    For a training without uncommitted changes, this is the commit that it ran on. Otherwise it is the first commit
    whose `dvc.lock` records the training.
    """
    tags = run.data.tags
    if tags.get(DIRTY_TAG) == "false" and about_commit(tags.get(COMMIT_TAG, "")):
        return tags[COMMIT_TAG]
    if lock and lock.commit:
        return lock.commit
    return next((found.commit for found in recorded if found.commit and is_run_of(run, found)), "")
