"""What may be deleted from the registry: what no alias, no entry of a ledger and no `dvc.lock` leads to.

`mlflow gc` knows none of the three and deletes a champion's files without a word. Nothing here calls it, and files go
only with the last version, of any registered model, that is of their run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from vaeline.artifacts import digest
from vaeline.errors import VaelineError
from vaeline.registry.candidates import candidate_name, served_name
from vaeline.registry.moves import aliases_of, find, find_run, one_at_a_time, read_standing
from vaeline.registry.stored import stored_version, uri_of
from vaeline.registry.versions import ARCHIVE, FOLDER
from vaeline.tracking.git import git, read_objects
from vaeline.tracking.lineage import LOCK_FILE
from vaeline.tracking.locks import MODEL, outs, read_lock
from vaeline.tracking.runs import DIGEST_TAG
from vaeline.tracking.store import state_directory

MD5_TAG = f"vaeline.outs.{MODEL}"


@dataclass(frozen=True)
class Judged:
    """A version, and what it is kept by; "" is garbage. `files`: whether its run's files go with it."""

    version: ModelVersion
    kept_by: str
    files: bool = False

    @property
    def uri(self) -> str:
        """What MLflow calls the version."""
        return uri_of(self.version)


def judge_versions(client: MlflowClient, dataset: str, untouched_for: timedelta) -> list[Judged]:
    """Every candidate and every served version of a data set, and what it is kept by.

    A candidate is kept by its own alias; by an alias or an entry of the ledger about a served version with its digest;
    by a `dvc.lock`; or by being younger than `untouched_for`, or gated since. A served version is kept by its alias,
    the ledger, or its youth: a copy that was never promoted can be made again.

    Raises:
        VaelineError: the ledger is broken, or not all of git's branches can be read.
    """
    served, candidates = served_name(dataset), candidate_name(dataset)
    standing = read_standing(client, served)
    by_number = {entry["to"]: f"entry {entry['number']} of the ledger" for entry in standing.entries}
    by_number |= {entry["from"]: by_number.get(entry["from"], "the ledger") for entry in standing.entries}
    aliases = aliases_of(client, served)
    by_number |= {version: f"{served}@{alias}" for alias, version in aliases.items()}
    by_digest = {entry[f"{end}_digest"]: by_number[entry[end]] for entry in standing.entries for end in ("from", "to")}
    for alias, version in aliases.items():
        if found := find(client, served, version):
            by_digest[found.tags.get(DIGEST_TAG, "")] = f"{served}@{alias}"
    own_alias = {version: f"{candidates}@{alias}" for alias, version in aliases_of(client, candidates).items()}
    locked, oldest = locked_models(), datetime.now(UTC) - untouched_for

    def kept_by(version: ModelVersion) -> str:
        number = str(version.version)
        if version.name == served:
            return by_number.get(number) or _youth(version, oldest)
        known = own_alias.get(number) or by_digest.get(version.tags.get(DIGEST_TAG, ""))
        return known or _youth(version, oldest) or _lock(client, version, locked)

    judged = [
        Judged(version, kept_by(version))
        for name in (candidates, served)
        for version in every_version(client, f"name = '{name}'")
    ]
    return _with_files(client, judged)


def collect(client: MlflowClient, dataset: str, untouched_for: timedelta) -> Iterator[Judged]:
    """Delete what `judge_versions` finds to be kept by nothing, and yield each version once it is gone.

    Files go before their version: what breaks off in between is found again by its version. Raises VaelineError.
    """
    with one_at_a_time(served_name(dataset)), FileLock(state_directory() / "registry.lock"):
        for judged in judge_versions(client, dataset, untouched_for):
            if judged.kept_by:
                continue
            version = judged.version
            if judged.files:
                root = client.get_run(version.run_id).info.artifact_uri
                get_artifact_repository(root).delete_artifacts(FOLDER)
            client.delete_model_version(version.name, str(version.version))
            yield judged


def every_version(client: MlflowClient, wanted: str) -> list[ModelVersion]:
    """All versions that meet a filter, however many, by number."""
    found, token = [], None
    while page := client.search_model_versions(wanted, page_token=token):
        found += page
        if not (token := page.token):
            break
    return sorted(found, key=lambda version: int(version.version))


def locked_models() -> dict[str, str]:
    """The md5 of the model in every `dvc.lock` that git's branches and tags end in, and who names it.

    Branches of remotes count as they are now, so their commits must have been fetched; so do experiments of DVC, and
    the files in this and other work trees, committed or not.

    Raises:
        VaelineError: there is no repository, a remote cannot be asked or has what was not fetched, or a lock cannot be
            read.
    """
    tips = _tips(git("for-each-ref", "--format=%(objectname) %(refname)"))
    if not tips:
        raise VaelineError("no git branches are here, so no one knows which models their dvc.lock names")
    names = {f"{commit}:./{LOCK_FILE}": ref for commit, ref in (_remote_tips() | tips).items()}
    found = {}
    for name, content in read_objects(list(names)).items():
        found = _models(content, names[name]) | found
    listed = git("worktree", "list", "--porcelain").splitlines()
    trees = [Path(line.removeprefix("worktree ")) for line in listed if line.startswith("worktree ")]
    for file in [LOCK_FILE, *(tree / LOCK_FILE for tree in trees)]:
        if file.is_file():
            found = _models(file.read_bytes(), str(file.parent)) | found
    return found


def _remote_tips() -> dict[str, str]:
    found = {}
    for remote in git("remote").splitlines():
        tips = _tips(git("ls-remote", "--heads", "--tags", remote))
        if not tips:
            raise VaelineError(f"git's remote {remote} does not answer, so no one knows which models its branches name")
        for commit, ref in tips.items():
            if not git("cat-file", "-t", commit):
                raise VaelineError(f"{ref} of git's remote {remote} was not fetched; `git fetch --all --tags` first")
            found[commit] = f"{ref} of {remote}"
    return found


def _tips(listed: str) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in listed.splitlines())


def _models(content: bytes, where: str) -> dict[str, str]:
    try:
        md5 = outs(read_lock(content), "train").get(MODEL)
    except ValueError as error:
        raise VaelineError(f"{LOCK_FILE} of {where}: {error}") from None
    return {md5: f"{LOCK_FILE} of {where}"} if md5 else {}


def _youth(version: ModelVersion, oldest: datetime) -> str:
    if datetime.fromtimestamp(version.creation_timestamp / 1000, UTC) >= oldest:
        return "its age"
    gated = version.tags.get("vaeline.gate_at")
    return "its gate report" if gated and datetime.fromisoformat(gated) >= oldest else ""


def _lock(client: MlflowClient, version: ModelVersion, locked: dict[str, str]) -> str:
    """The `dvc.lock` that names the version's model: by its tag, and by its file before anything is deleted."""
    if known := locked.get(version.tags.get(MD5_TAG, "")):
        return known
    if find_run(client, version.run_id) is None or DIGEST_TAG not in version.tags:
        return "that it is none of vaeline's, or has lost its run"
    with stored_version(client, version).artifact(ARCHIVE) as file:
        if file is None:
            return "" if MD5_TAG in version.tags else "that nothing says which file it had"
        return locked.get(digest(file, "md5"), "")


def _with_files(client: MlflowClient, judged: list[Judged]) -> list[Judged]:
    """Say of each run that only garbage is of, in whatever registered model, that its files go with the first of it."""
    garbage = {(item.version.name, str(item.version.version)) for item in judged if not item.kept_by}
    first: dict[str, Judged] = {}
    for item in judged:
        if not item.kept_by:
            first.setdefault(item.version.run_id, item)
    freed = [
        item
        for run_id, item in first.items()
        if {(of.name, str(of.version)) for of in every_version(client, f"run_id = '{run_id}'")} <= garbage
    ]
    return [replace(item, files=item in freed) for item in judged]
