"""Models in the MLflow store: where a run or a registered version keeps its archive and its latent reference."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode

from vaeline.applications.reference import Reference, read_reference
from vaeline.errors import VaelineError
from vaeline.models.archive import load_model
from vaeline.models.generative import GenerativeModel
from vaeline.tracking.runs import DIGEST_TAG, runs_called
from vaeline.tracking.store import STORE_ERRORS, open_store, tracking_uri, unreachable

ARCHIVE = "model/artifacts/vae.keras"
REFERENCE = "evaluation/latent_reference.json"
UNKNOWN = {ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), ErrorCode.Name(INVALID_PARAMETER_VALUE)}
REGISTRY_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))")
SQLITE = "sqlite:///"


@dataclass(frozen=True)
class StoredModel:
    """A run that holds a model, the SHA-256 that its archive must have, and what messages call it.

    `version` is the registered version that it was found by.
    """

    client: MlflowClient
    run_id: str
    model_sha256: str
    name: str
    version: ModelVersion | None = None

    def read_reference(self) -> Reference:
        """The latent reference that the run holds. Raises VaelineError."""
        with self.artifact(REFERENCE) as file:
            if file is None:
                raise VaelineError(f"{self.name} has no {REFERENCE}; run `dvc repro evaluate` with this model")
            return read_reference(file)

    @contextmanager
    def artifact(self, path: str) -> Iterator[Path | None]:
        """A temporary copy of an artifact of the run, which messages call by its lasting name; None where it is not."""
        with tempfile.TemporaryDirectory() as scratch:
            with _reachable():
                listed = self.client.list_artifacts(self.run_id, path.rpartition("/")[0])
                known = path in {item.path for item in listed}
                copy = Path(self.client.download_artifacts(self.run_id, path, scratch)) if known else None
            try:
                yield copy
            except VaelineError as error:
                raise VaelineError(str(error).replace(str(copy), f"{path} of {self.name}")) from error


def find_run_model(reference: str) -> StoredModel:
    """The model of the run with this name or id, or the first six characters of an id.

    Raises:
        VaelineError: no run, or several with different models, has that name; or the run holds no model.
    """
    with _store() as client:
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
    parts = REGISTRY_URI.fullmatch(uri)
    if parts is None:
        raise VaelineError(f"{uri}: a registered model is called models:/name/version or models:/name@alias")
    with _store() as client:
        try:
            version = _find_version(client, **parts.groupdict())
        except MlflowException as error:
            if error.error_code not in UNKNOWN:
                raise
            raise VaelineError(f"{uri}: no such registered version; {_known_versions(client)}") from None
    if DIGEST_TAG not in version.tags or not version.run_id:
        raise VaelineError(f"{uri}: was not registered by vaeline: it has no tag {DIGEST_TAG} or no run")
    return StoredModel(client, version.run_id, version.tags[DIGEST_TAG], uri, version)


def load_stored(stored: StoredModel) -> GenerativeModel:
    """The model itself, checked against its digest.

    Raises:
        VaelineError: its file is missing from the store, or is not the one that was registered.
    """
    with stored.artifact(ARCHIVE) as file:
        if file is None:
            raise VaelineError(
                f"{stored.name} has no file {ARCHIVE} in the store: it was never registered, or the store was moved; "
                "run `dvc repro` with its parameters"
            )
        return load_model(file, stored.model_sha256)


def _find_version(client: MlflowClient, name: str, version: str | None, alias: str | None) -> ModelVersion:
    return client.get_model_version(name, version) if version else client.get_model_version_by_alias(name, alias)


def _known_versions(client: MlflowClient) -> str:
    names = ", ".join(f"models:/{known.name}/{known.version}" for known in client.search_model_versions(max_results=5))
    return f"there are: {names}" if names else "none is registered yet"


@contextmanager
def _store() -> Iterator[MlflowClient]:
    """The store, which must be there: looking for a model creates no empty one."""
    uri = tracking_uri()
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).is_file():
        raise VaelineError(f"no such model file, and no store of runs in {uri.removeprefix(SQLITE)} to look it up in")
    with _reachable():
        yield open_store()


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except STORE_ERRORS as error:
        raise unreachable(error) from error
