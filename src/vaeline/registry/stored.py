"""Models in the MLflow store: the archive and the latent reference of a run or a registered version.

Keras is imported late, because finding, checking and moving versions does not need it.
"""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from vaeline.artifacts import digest
from vaeline.errors import VaelineError
from vaeline.pyfunc.clean_process import answers_of
from vaeline.pyfunc.contents import BYTE_CODE, SIGNATURE, check_files
from vaeline.pyfunc.golden import GOLDEN, answer_differences, read_golden
from vaeline.registry.signing import public_key, sign_folder, verify_folder
from vaeline.registry.versions import (
    ARCHIVE,
    FOLDER,
    artifact_copy,
    present_store,
    reachable,
    registered_version,
    uri_of,
)
from vaeline.tracking.runs import DIGEST_TAG, FILE_TAG, FILES_TAG, runs_called

if TYPE_CHECKING:
    from vaeline.defects.reference import HeatMapReference
    from vaeline.latents.reference import Reference
    from vaeline.models.generative import GenerativeModel

REFERENCE = "evaluation/latent_reference.json"
HEAT_MAPS = "evaluation/heat_map_reference.json"
GOLDEN_OUTPUTS = f"{FOLDER}/{GOLDEN}"
NO_FILE = "{}: no such model file, and "


@dataclass(frozen=True)
class StoredModel:
    """A run with a model, the SHA-256 that its archive must have, and its name in messages.

    version: the registered version, if the model was found by one. files_sha256: the digest of the list of all its
    files; empty if an earlier vaeline registered it, and then only the archive is checked.
    """

    client: MlflowClient
    run_id: str
    model_sha256: str
    name: str
    version: ModelVersion | None = None
    files_sha256: str = ""

    def read_reference(self) -> "Reference":
        """The run's latent reference. Raises VaelineError."""
        from vaeline.latents.reference import read_reference

        with self.artifact(REFERENCE) as file:
            if file is None:
                raise VaelineError(f"{self.name} has no {REFERENCE}; run `dvc repro evaluate` with this model")
            self._check_other(file, REFERENCE)
            return read_reference(file)

    def read_heat_maps(self) -> "HeatMapReference | None":
        """The run's reference of heat maps, or None if an earlier vaeline evaluated it. Raises VaelineError."""
        from vaeline.defects.reference import read_heat_map_reference

        with self.artifact(HEAT_MAPS) as file:
            if file is None:
                return None
            self._check_other(file, HEAT_MAPS)
            return read_heat_map_reference(file)

    def read_golden(self) -> dict[str, Any]:
        """The golden outputs that were stored when the model was registered. Raises VaelineError."""
        with self.artifact(GOLDEN_OUTPUTS) as file:
            if file is None:
                raise VaelineError(f"{self.name} has no golden outputs; an older vaeline registered it")
            return read_golden(file)

    @contextmanager
    def archive(self) -> Generator[Path]:
        """A temporary copy of the archive.

        The digest of all files that were registered with it and, if a public key is set, their signature are checked
        first.

        Raises:
            VaelineError: a file is missing, was changed or added, or the signature is missing or not valid.
        """
        if self.files_sha256 or public_key():
            with self.package() as folder:
                yield folder.parent / ARCHIVE
            return
        with self.artifact(ARCHIVE) as file:
            yield self._check(file)

    @contextmanager
    def package(self, unsigned: bool = False) -> Generator[Path]:
        """A temporary copy of the whole registered folder, checked as in `archive`.

        It has no byte code, which MLflow writes into a folder that it serves from. With `unsigned`, the signature is
        not checked.

        Raises:
            VaelineError: a file is missing, was changed or added, or the signature is missing or not valid.
        """
        with self.artifact(FOLDER) as copy:
            folder = self._check(copy.parent / ARCHIVE if copy else None).parents[1]
            for cache in list(folder.rglob(BYTE_CODE)):
                shutil.rmtree(cache)
            if self.files_sha256:
                check_files(folder, self.files_sha256, self.name)
            if not unsigned and (key := public_key()):
                verify_folder(folder, key, self.name)
            yield folder

    @contextmanager
    def artifact(self, path: str) -> Generator[Path | None]:
        """A temporary copy of an artifact of the run; None if there is none. Errors name the artifact, not the copy."""
        with artifact_copy(self.client, self.run_id, path) as copy:
            try:
                yield copy
            except VaelineError as error:
                raise VaelineError(str(error).replace(str(copy), f"{path} of {self.name}")) from error

    def _check_other(self, file: Path, path: str) -> None:
        """Raise VaelineError if a file outside the registered folder is not the one that the run recorded."""
        recorded = self.client.get_run(self.run_id).data.tags.get(f"{FILE_TAG}{path}")
        if recorded and digest(file) != recorded:
            raise VaelineError(f"{file} was changed; `vaeline track sync` or `dvc repro evaluate` logs it again")

    def _check(self, archive: Path | None) -> Path:
        """The archive. Raises VaelineError if it is missing or has another digest."""
        if archive is None or not archive.is_file():
            raise VaelineError(
                f"{self.name} has no file {ARCHIVE} in the store; it was never registered, or its files were deleted; "
                "`vaeline registry restore` brings back those of a version, from DVC's cache"
            )
        if (found := digest(archive)) != self.model_sha256:
            raise VaelineError(
                f"{ARCHIVE} of {self.name}: SHA-256 is {found}, expected {self.model_sha256}; the file was changed"
            )
        return archive


def version_of(stored: StoredModel) -> ModelVersion:
    """The registered version of a stored model. Raises VaelineError if it was found by a run."""
    if stored.version is None:
        raise VaelineError(f"{stored.name} is not a registered version; use models:/name/version")
    return stored.version


def find_run_model(reference: str) -> StoredModel:
    """The model of the run with this name or id, or the first six characters of an id.

    Raises:
        VaelineError: no run has this name, several runs with different models have it, or the run has no model.
    """
    with present_store(NO_FILE.format(reference or "''")) as client:
        runs = runs_called(client, reference)
    if not runs:
        raise VaelineError(f"no model file, run or registered model is called {reference!r}; `make ui` shows the runs")
    trained = [run for run in runs if DIGEST_TAG in run.data.tags]
    if not trained:
        raise VaelineError(f"the run {reference} has no model: it is {runs[0].info.status}")
    if len({run.data.tags[DIGEST_TAG] for run in trained}) > 1:
        ids = ", ".join(run.info.run_id for run in trained)
        raise VaelineError(f"{len(trained)} runs with different models are called {reference}; use an id: {ids}")
    return StoredModel(
        client,
        trained[0].info.run_id,
        trained[0].data.tags[DIGEST_TAG],
        f"the run {reference}",
        files_sha256=trained[0].data.tags.get(FILES_TAG, ""),
    )


def find_registered(uri: str) -> StoredModel:
    """The registered version `models:/name/version` or `models:/name@alias`.

    Raises:
        VaelineError: there is no such version or alias, or vaeline did not register its model.
    """
    with present_store(NO_FILE.format(uri)) as client:
        return stored_version(client, registered_version(client, uri), uri)


def stored_version(client: MlflowClient, version: ModelVersion, uri: str = "") -> StoredModel:
    """The model of a registered version; `uri` is its name in messages. Raises VaelineError if it is not vaeline's."""
    uri = uri or uri_of(version)
    if DIGEST_TAG not in version.tags or not version.run_id:
        raise VaelineError(f"{uri}: vaeline did not register it: it has no tag {DIGEST_TAG} or no run")
    return StoredModel(client, version.run_id, version.tags[DIGEST_TAG], uri, version, version.tags.get(FILES_TAG, ""))


def load_stored(stored: StoredModel) -> "GenerativeModel":
    """Load the model. Its digest and, if a public key is set, its signature are checked first.

    Raises:
        VaelineError: the file is missing from the store, or it is not the registered one.
    """
    from vaeline.models.archive import load_model

    with stored.archive() as file:
        return load_model(file)


def sign_stored(stored: StoredModel, key: Path) -> None:
    """Sign the registered folder in the store with a private key, and store the signature in the folder.

    Raises:
        VaelineError: the archive is missing or was changed, or the key is not valid or does not fit the public key.
    """
    with stored.package(unsigned=True) as folder:
        sign_folder(folder, key)
        if expected := public_key():
            verify_folder(folder, expected, stored.name)
        with reachable():
            stored.client.log_artifact(stored.run_id, str(folder / SIGNATURE), FOLDER)


def try_stored(stored: StoredModel) -> None:
    """Load the model in a new process and compare its answers with its golden outputs. No data is needed.

    Raises:
        VaelineError: the archive is missing or was changed, the model does not load, or it answers differently.
    """
    with stored.package() as folder:
        if not (folder / GOLDEN).is_file():
            raise VaelineError(f"{stored.name} has no golden outputs; an older vaeline registered it")
        golden = read_golden(folder / GOLDEN)
        differences = answer_differences(golden, answers_of(folder, golden["questions"], stored.name))
    if differences:
        raise VaelineError(f"{stored.name} does not reproduce its golden outputs: {'; '.join(differences)}")
