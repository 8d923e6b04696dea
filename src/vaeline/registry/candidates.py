"""Candidates: one registered version for each different model. Registering a model again makes no second version."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from vaeline.artifacts import digest
from vaeline.errors import VaelineError
from vaeline.images.types import Images
from vaeline.own_files import read_json
from vaeline.pyfunc.contents import changes, relative_files
from vaeline.pyfunc.golden import make_golden
from vaeline.pyfunc.package import package_pyfunc, pinned_requirements
from vaeline.registry.names import version_uri
from vaeline.registry.signing import sign_folder, signing_key
from vaeline.registry.stored import stored_version
from vaeline.registry.versions import FOLDER, artifact_copy, every_version, run_id_of, versions_named
from vaeline.scores import HEADLINES, metric_of
from vaeline.tracking.runs import DIGEST_TAG, FILE_TAG, FILES_TAG, log_files, set_tags
from vaeline.tracking.store import open_store, state_directory

if TYPE_CHECKING:
    from vaeline.models.generative import GenerativeModel

RENEWED_TAG = "vaeline.files_renewed_at"
MADE_ALREADY = {"RESOURCE_ALREADY_EXISTS", "PERMISSION_DENIED"}  # the second: only an administrator may


def find_version(client: MlflowClient, name: str, model_digest: str) -> ModelVersion | None:
    """The first version of `name` with this model; None if there is none."""
    return next(iter(versions_named(client, name, {DIGEST_TAG: model_digest})), None)


def register_candidate(
    client: MlflowClient, run: Run, archive: Path, name: str, images: Images | None = None
) -> ModelVersion:
    """Register the archive as a pyfunc model logged to `run`, unless a version of `name` has the same model already.

    If the store has lost files of that version, they are logged again. The golden outputs of `images` (count, height,
    width, channels) in [0, 1] are stored with it. Without them, the gate does not pass the model.
    """
    model_digest = digest(archive)
    with FileLock(state_directory() / "registry.lock"):
        if known := find_version(client, name, model_digest):
            return known if has_its_files(client, known) else replace_files(client, known, archive, images)
        run_id = run.info.run_id
        make_model(client, name, "Trained models; none of them is promoted here.")
        listed = _files_of_another_version(client, run)
        if not listed:
            listed = _log_package(client, run, archive, images)
        return client.create_model_version(
            name,
            source=f"{run.info.artifact_uri}/{FOLDER}",
            run_id=run_id,
            tags={**version_tags(run), DIGEST_TAG: model_digest, FILES_TAG: listed},
        )


def is_registered(registration: Path) -> bool:
    """Whether the store has the version of `reports/registration.json`, with its files."""
    model = read_json(registration)
    client = open_store()
    version = find_version(client, model["name"], model["model_sha256"])
    return version is not None and has_its_files(client, version)


def has_its_files(client: MlflowClient, version: ModelVersion) -> bool:
    """Whether the store has all files of a version as they were registered, and no others."""
    try:
        with stored_version(client, version).archive():
            return True
    except VaelineError:
        return False


def replace_files(client: MlflowClient, version: ModelVersion, archive: Path, images: Images | None) -> ModelVersion:
    """Package a version's archive again, with the code of today, and log it in the place of its files.

    The tag with the digest of the files is renewed, as are those of other versions with the same run. Returns the
    version.
    """
    run_id = run_id_of(version)
    listed = _log_package(client, client.get_run(run_id), archive, images)
    renewed = {FILES_TAG: listed, RENEWED_TAG: datetime.now(UTC).isoformat(timespec="seconds")}
    for each in every_version(client, f"run_id = '{run_id}'"):
        for key, value in renewed.items():
            client.set_model_version_tag(each.name, str(each.version), key, value)
    return client.get_model_version(version.name, str(version.version))


def make_model(client: MlflowClient, name: str, description: str) -> None:
    """Make a registered model, unless it exists or only an administrator may make it."""
    try:
        client.create_registered_model(name, description=description)
    except MlflowException as error:
        if error.error_code not in MADE_ALREADY:
            raise


def copy_version(client: MlflowClient, version: ModelVersion, name: str) -> ModelVersion:
    """Copy a version, with its tags, into the registered model `name`, which must exist.

    `MlflowClient.copy_model_version` does the same, but first tries to create `name`. A server with users allows that
    only to its administrator.
    """
    return client.create_model_version(
        name,
        source=version_uri(version.name, version.version),
        run_id=version.run_id,
        tags=version.tags,
        run_link=version.run_link,
        description=version.description,
        model_id=version.model_id,
    )


def version_tags(run: Run) -> dict[str, str]:
    """Tags of a version about its origin: the run's lineage tags, its headline metrics, and the seed."""
    lineage = {key: value for key, value in run.data.tags.items() if key.startswith(("vaeline.", "mlflow.source.git"))}
    lineage = {key: value for key, value in lineage.items() if not key.startswith(FILE_TAG)}
    process = {"vaeline.host", "vaeline.pid", "vaeline.pid_started"}
    figures = {
        name.replace("/", "."): f"{run.data.metrics[name]:.4f}"
        for name in map(metric_of, HEADLINES)
        if name in run.data.metrics
    }
    packages = dict(requirement.split("==") for requirement in pinned_requirements())
    return {
        **{key: value for key, value in lineage.items() if key not in process},
        **figures,
        "seed": run.data.params["train.seed"],
        "keras": packages["keras"],
    }


def _files_of_another_version(client: MlflowClient, run: Run) -> str:
    """The digest of the run's registered files, if another version has them and they are whole; else ""."""
    listed = run.data.tags.get(FILES_TAG, "")
    if not listed or not every_version(client, f"run_id = '{run.info.run_id}'"):
        return ""
    with artifact_copy(client, run.info.run_id, FOLDER) as folder:
        return listed if folder and not changes(folder, listed) else ""


def _log_package(client: MlflowClient, run: Run, archive: Path, images: Images | None) -> str:
    """Log the packaged model to its run, in the place of what an earlier registration left. Returns its digest."""
    run_id = run.info.run_id
    golden = None if images is None else make_golden(_load(archive), images)
    with tempfile.TemporaryDirectory() as scratch:
        listed = package_pyfunc(archive, Path(scratch) / FOLDER, golden)
        if key := signing_key():
            sign_folder(Path(scratch) / FOLDER, key)
        with artifact_copy(client, run_id, FOLDER) as left:
            if left and relative_files(left) - relative_files(Path(scratch) / FOLDER):
                get_artifact_repository(str(run.info.artifact_uri)).delete_artifacts(FOLDER)
        log_files(client, run_id, Path(scratch) / FOLDER, FOLDER)
    set_tags(client, run_id, {FILES_TAG: listed})
    return listed


def _load(archive: Path) -> "GenerativeModel":
    from vaeline.models.archive import load_model  # imported here, because packaging needs no Keras

    return load_model(archive)
