"""Registered versions and the artifacts of runs, looked up without loading a model."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode

from vaeline.errors import VaelineError
from vaeline.tracking.runs import DIGEST_TAG
from vaeline.tracking.store import STORE_ERRORS, open_store, tracking_uri, unreachable

FOLDER = "model"
ARCHIVE = f"{FOLDER}/artifacts/vae.keras"
UNKNOWN = {ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), ErrorCode.Name(INVALID_PARAMETER_VALUE)}
REGISTRY_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))")
SCHEME = "models:/"
SQLITE = "sqlite:///"


def registered_version(client: MlflowClient, uri: str) -> ModelVersion:
    """The version `models:/name/version` or `models:/name@alias`.

    Raises:
        VaelineError: there is no such version or alias, or its model is none of this project.
    """
    parts = REGISTRY_URI.fullmatch(uri)
    if parts is None:
        raise VaelineError(f"{uri}: a registered model is called models:/name/version or models:/name@alias")
    try:
        version = _find_version(client, **parts.groupdict())
    except MlflowException as error:
        if error.error_code not in UNKNOWN:
            raise
        raise VaelineError(f"{uri}: no such registered version; {_known_versions(client)}") from None
    if DIGEST_TAG not in version.tags or not version.run_id:
        raise VaelineError(f"{uri}: was not registered by vaeline: it has no tag {DIGEST_TAG} or no run")
    return version


@contextmanager
def artifact_copy(client: MlflowClient, run_id: str, path: str) -> Iterator[Path | None]:
    """A temporary copy of an artifact, a file or a folder, of a run; None where it is not."""
    with tempfile.TemporaryDirectory() as scratch:
        with reachable():
            listed = client.list_artifacts(run_id, path.rpartition("/")[0])
            known = path in {item.path for item in listed}
            copy = Path(client.download_artifacts(run_id, path, scratch)) if known else None
        yield copy


@contextmanager
def present_store(but_first: str = "") -> Iterator[MlflowClient]:
    """The store, which must be there: looking for a model creates no empty one.

    Raises:
        VaelineError: there is no store, which the message says after `but_first`, or it cannot be used.
    """
    uri = tracking_uri()
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).is_file():
        raise VaelineError(f"{but_first}no store of runs in {uri.removeprefix(SQLITE)} to look it up in")
    with reachable():
        yield open_store()


@contextmanager
def reachable() -> Iterator[None]:
    """A store that fails becomes a sentence."""
    try:
        yield
    except STORE_ERRORS as error:
        raise unreachable(error) from error


def _find_version(client: MlflowClient, name: str, version: str | None, alias: str | None) -> ModelVersion:
    return client.get_model_version(name, version) if version else client.get_model_version_by_alias(name, alias)


def _known_versions(client: MlflowClient) -> str:
    names = ", ".join(f"models:/{known.name}/{known.version}" for known in client.search_model_versions(max_results=5))
    return f"there are: {names}" if names else "none is registered yet"
