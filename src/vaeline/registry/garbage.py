"""Garbage collection of the registry: delete versions that no alias, no entry of a ledger and no `dvc.lock` needs.

`mlflow gc` is not used here. It knows none of the three and deletes a champion's files without a warning. The files of
a run are deleted only with the last version, of any registered model, that uses the run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from vaeline.artifacts import digest
from vaeline.outputs import MODEL
from vaeline.registry.moves import one_at_a_time, read_standing
from vaeline.registry.names import candidate_name, served_name
from vaeline.registry.stored import stored_version
from vaeline.registry.versions import (
    ARCHIVE,
    FOLDER,
    aliases_of,
    every_version,
    known_run,
    known_version,
    run_id_of,
    uri_of,
    versions_named,
)
from vaeline.tracking.branches import locked_models
from vaeline.tracking.runs import DIGEST_TAG
from vaeline.tracking.store import state_directory

MD5_TAG = f"vaeline.outs.{MODEL}"


@dataclass(frozen=True)
class Judged:
    """A version and the reason to keep it; "" means garbage. `files`: whether its run's files are deleted with it."""

    version: ModelVersion
    kept_by: str
    files: bool = False

    @property
    def uri(self) -> str:
        """MLflow's address of the version."""
        return uri_of(self.version)


def judge_versions(client: MlflowClient, dataset: str, untouched_for: timedelta) -> list[Judged]:
    """Every candidate and every served version of a data set, with the reason to keep it.

    A candidate is kept if it has an alias, if an alias or an entry of the ledger names a served version with its
    digest, if a `dvc.lock` names it, or if it was registered or gated within `untouched_for`. A served version is kept
    if an alias or the ledger names it, or if it was registered within `untouched_for`. A copy that was never promoted
    can be made again.

    Raises:
        VaelineError: the ledger is broken, or not all git branches can be read.
    """
    served, candidates = served_name(dataset), candidate_name(dataset)
    standing = read_standing(client, served)
    by_number = {entry["to"]: f"entry {entry['number']} of the ledger" for entry in standing.entries}
    by_number |= {entry["from"]: by_number.get(entry["from"], "the ledger") for entry in standing.entries}
    aliases = aliases_of(client, served)
    by_number |= {version: f"{served}@{alias}" for alias, version in aliases.items()}
    by_digest = {entry[f"{end}_digest"]: by_number[entry[end]] for entry in standing.entries for end in ("from", "to")}
    for alias, version in aliases.items():
        if found := known_version(client, served, version):
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
        Judged(version, kept_by(version)) for name in (candidates, served) for version in versions_named(client, name)
    ]
    return _with_files(client, judged)


def collect(client: MlflowClient, dataset: str, untouched_for: timedelta) -> Iterator[Judged]:
    """Delete the versions for which `judge_versions` has no reason, and yield each version after its deletion.

    Files are deleted before their version. If this is interrupted, the next call finds the version and deletes the
    rest. Raises VaelineError.
    """
    with one_at_a_time(served_name(dataset)), FileLock(state_directory() / "registry.lock"):
        for judged in judge_versions(client, dataset, untouched_for):
            if judged.kept_by:
                continue
            version = judged.version
            if judged.files:
                run = client.get_run(run_id_of(version))
                get_artifact_repository(str(run.info.artifact_uri)).delete_artifacts(FOLDER)
            client.delete_model_version(version.name, str(version.version))
            yield judged


def _youth(version: ModelVersion, oldest: datetime) -> str:
    if datetime.fromtimestamp(version.creation_timestamp / 1000, UTC) >= oldest:
        return "its age"
    gated = version.tags.get("vaeline.gate_at")
    return "its gate report" if gated and datetime.fromisoformat(gated) >= oldest else ""


def _lock(client: MlflowClient, version: ModelVersion, locked: dict[str, str]) -> str:
    """The `dvc.lock` that names the version's model, by the md5 in its tag or of its file."""
    if known := locked.get(version.tags.get(MD5_TAG, "")):
        return known
    if known_run(client, version.run_id) is None or DIGEST_TAG not in version.tags:
        return "it is not vaeline's, or its run is lost"
    with stored_version(client, version).artifact(ARCHIVE) as file:
        if file is None:
            return "" if MD5_TAG in version.tags else "its file is unknown"
        return locked.get(digest(file, "md5"), "")


def _with_files(client: MlflowClient, judged: list[Judged]) -> list[Judged]:
    """Set `files` on the first garbage version of each run that only garbage versions use, in all registered models."""
    garbage = {(item.version.name, str(item.version.version)) for item in judged if not item.kept_by}
    first: dict[str, Judged] = {}
    for item in judged:
        if not item.kept_by:
            first.setdefault(str(item.version.run_id), item)
    freed = [
        item
        for run_id, item in first.items()
        if {(of.name, str(of.version)) for of in every_version(client, f"run_id = '{run_id}'")} <= garbage
    ]
    return [replace(item, files=item in freed) for item in judged]
