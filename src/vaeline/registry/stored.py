"""Models in the MLflow store: where a run or a registered version keeps its archive and its latent reference.

Keras is imported late: to find, check and move versions needs none of it.
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
from vaeline.pyfunc.golden import GOLDEN, answer_differences, read_golden
from vaeline.registry.signing import SIGNATURE, public_key, sign_folder, verify_folder
from vaeline.registry.versions import (
    ARCHIVE,
    FOLDER,
    artifact_copy,
    present_store,
    reachable,
    registered_version,
    uri_of,
)
from vaeline.tracking.runs import DIGEST_TAG, runs_called

if TYPE_CHECKING:
    from vaeline.latents.reference import Reference
    from vaeline.models.generative import GenerativeModel

REFERENCE = "evaluation/latent_reference.json"
GOLDEN_OUTPUTS = f"{FOLDER}/{GOLDEN}"
NO_FILE = "no such model file, and "


@dataclass(frozen=True)
class StoredModel:
    """A run that holds a model, the SHA-256 that its archive must have, and what messages call it.

    version: the registered version that it was found by, if it was.
    """

    client: MlflowClient
    run_id: str
    model_sha256: str
    name: str
    version: ModelVersion | None = None

    def read_reference(self) -> "Reference":
        """The latent reference that the run holds. Raises VaelineError."""
        from vaeline.latents.reference import read_reference

        with self.artifact(REFERENCE) as file:
            if file is None:
                raise VaelineError(f"{self.name} has no {REFERENCE}; run `dvc repro evaluate` with this model")
            return read_reference(file)

    def read_golden(self) -> dict[str, Any]:
        """The golden outputs that were stored when the model was registered. Raises VaelineError."""
        with self.artifact(GOLDEN_OUTPUTS) as file:
            if file is None:
                raise VaelineError(f"{self.name} has no golden outputs: it was registered before there were any")
            return read_golden(file)

    @contextmanager
    def archive(self) -> Generator[Path]:
        """A temporary copy of the archive, after its digest and, where a public key asks for one, its signature.

        Raises:
            VaelineError: the archive is missing or was changed, or it is not signed as it must be.
        """
        if public_key():
            with self.package() as folder:
                yield folder.parent / ARCHIVE
            return
        with self.artifact(ARCHIVE) as file:
            yield self._check(file)

    @contextmanager
    def package(self, unsigned: bool = False) -> Generator[Path]:
        """A temporary copy of the whole registered folder, checked as `archive` does it.

        Python's byte code is left out of it: MLflow leaves some in a folder that it serves from. `unsigned` asks for no
        signature.

        Raises:
            VaelineError: the archive is missing or was changed, or the folder is not signed as it must be.
        """
        with self.artifact(FOLDER) as copy:
            folder = self._check(copy.parent / ARCHIVE if copy else None).parents[1]
            for cache in list(folder.rglob("__pycache__")):
                shutil.rmtree(cache)
            if not unsigned and (key := public_key()):
                verify_folder(folder, key, self.name)
            yield folder

    @contextmanager
    def artifact(self, path: str) -> Generator[Path | None]:
        """A temporary copy of an artifact of the run, which messages call by its lasting name; None where it is not."""
        with artifact_copy(self.client, self.run_id, path) as copy:
            try:
                yield copy
            except VaelineError as error:
                raise VaelineError(str(error).replace(str(copy), f"{path} of {self.name}")) from error

    def _check(self, archive: Path | None) -> Path:
        """The archive, which is there and has the digest of the model. Raises VaelineError."""
        if archive is None or not archive.is_file():
            raise VaelineError(
                f"{self.name} has no file {ARCHIVE} in the store: it was never registered, or the store was moved; "
                "run `dvc repro` with its parameters"
            )
        if (found := digest(archive)) != self.model_sha256:
            raise VaelineError(
                f"{ARCHIVE} of {self.name}: SHA-256 is {found}, expected {self.model_sha256}; the file was changed"
            )
        return archive


def version_of(stored: StoredModel) -> ModelVersion:
    """The registered version of a stored model. Raises VaelineError for the model of a run that was not registered."""
    if stored.version is None:
        raise VaelineError(f"{stored.name} is no registered version; name it models:/name/version")
    return stored.version


def find_run_model(reference: str) -> StoredModel:
    """The model of the run with this name or id, or the first six characters of an id.

    Raises:
        VaelineError: no run, or several with different models, has that name; or the run holds no model.
    """
    with present_store(NO_FILE) as client:
        runs = runs_called(client, reference)
    if not runs:
        raise VaelineError(f"no model file, run or registered model is called {reference!r}; `make ui` shows the runs")
    trained = [run for run in runs if DIGEST_TAG in run.data.tags]
    if not trained:
        raise VaelineError(f"the run {reference} holds no model: it is {runs[0].info.status}")
    if len({run.data.tags[DIGEST_TAG] for run in trained}) > 1:
        ids = ", ".join(run.info.run_id for run in trained)
        raise VaelineError(f"{len(trained)} runs with different models are called {reference}; name one by id: {ids}")
    return StoredModel(client, trained[0].info.run_id, trained[0].data.tags[DIGEST_TAG], f"the run {reference}")


def find_registered(uri: str) -> StoredModel:
    """The registered version `models:/name/version` or `models:/name@alias`.

    Raises:
        VaelineError: there is no such version or alias, or its model is none of this project.
    """
    with present_store(NO_FILE) as client:
        return stored_version(client, registered_version(client, uri), uri)


def stored_version(client: MlflowClient, version: ModelVersion, uri: str = "") -> StoredModel:
    """The model of a registered version, which messages call `uri`. Raises VaelineError if it is none of vaeline's."""
    uri = uri or uri_of(version)
    if DIGEST_TAG not in version.tags or not version.run_id:
        raise VaelineError(f"{uri}: was not registered by vaeline: it has no tag {DIGEST_TAG} or no run")
    return StoredModel(client, version.run_id, version.tags[DIGEST_TAG], uri, version)


def load_stored(stored: StoredModel) -> "GenerativeModel":
    """The model itself, checked against its digest, and against its signature where a public key asks for one.

    Raises:
        VaelineError: its file is missing from the store, or is not the one that was registered.
    """
    from vaeline.models.archive import load_model

    with stored.archive() as file:
        return load_model(file)


def sign_stored(stored: StoredModel, key: Path) -> None:
    """Sign the registered folder as the store has it with a private key, and keep the signature in it.

    Raises:
        VaelineError: the archive is missing or was changed, the key is none, or is not that of the public key.
    """
    with stored.package(unsigned=True) as folder:
        sign_folder(folder, key)
        if expected := public_key():
            verify_folder(folder, expected, stored.name)
        with reachable():
            stored.client.log_artifact(stored.run_id, str(folder / SIGNATURE), FOLDER)


def try_stored(stored: StoredModel) -> None:
    """Load the model in a clean process and compare its answers with its golden outputs; needs no data.

    Raises:
        VaelineError: the archive is missing or was changed, the model does not load, or it answers differently.
    """
    with stored.package() as folder:
        if not (folder / GOLDEN).is_file():
            raise VaelineError(f"{stored.name} has no golden outputs: it was registered before there were any")
        golden = read_golden(folder / GOLDEN)
        differences = answer_differences(golden, answers_of(folder, golden["questions"], stored.name))
    if differences:
        raise VaelineError(f"{stored.name} does not reproduce its golden outputs: {'; '.join(differences)}")
