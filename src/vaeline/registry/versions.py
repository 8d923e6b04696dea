"""Find registered versions, their aliases, and the artifacts of runs, without loading a model."""

import re
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode

from vaeline.errors import VaelineError
from vaeline.registry.names import SCHEME, version_uri
from vaeline.tracking.runs import DIGEST_TAG, with_tags
from vaeline.tracking.sqlite import sqlite_file
from vaeline.tracking.store import STORE_ERRORS, open_store, tracking_uri, unreachable

Found = TypeVar("Found")
FOLDER = "model"
ARCHIVE = f"{FOLDER}/artifacts/vae.keras"
MOST_DIGITS = 18  # of a version: databases have no larger numbers
UNKNOWN = {ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), ErrorCode.Name(INVALID_PARAMETER_VALUE)}
REGISTRY_URI = re.compile(SCHEME + r"(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))")


def registered_version(client: MlflowClient, uri: str) -> ModelVersion:
    """The version `models:/name/version` or `models:/name@alias`.

    Raises:
        VaelineError: there is no such version or alias, or vaeline did not register its model.
    """
    parts = REGISTRY_URI.fullmatch(uri)
    if parts is None:
        raise VaelineError(f"{uri}: name a registered version as models:/name/version or models:/name@alias")
    if len(parts["version"] or "") > MOST_DIGITS:
        raise VaelineError(f"{uri}: no such registered version; {_known_versions(client)}")
    try:
        version = _find_version(client, parts["name"], parts["version"], parts["alias"])
    except MlflowException as error:
        if error.error_code not in UNKNOWN:
            raise
        raise VaelineError(f"{uri}: no such registered version; {_known_versions(client)}") from None
    if DIGEST_TAG not in version.tags or not version.run_id:
        raise VaelineError(f"{uri}: vaeline did not register it: it has no tag {DIGEST_TAG} or no run")
    return version


def uri_of(version: ModelVersion) -> str:
    """MLflow's address of a version: `models:/name/version`."""
    return version_uri(version.name, version.version)


def known_version(client: MlflowClient, name: str, number: str) -> ModelVersion | None:
    """A version of the registered model `name`; None if it was deleted or never existed."""
    return _known(lambda: client.get_model_version(name, number))


def run_id_of(version: ModelVersion) -> str:
    """The id of the run that made a version. Raises VaelineError for a version without one."""
    if not version.run_id:
        raise VaelineError(f"{uri_of(version)}: vaeline did not register it: it has no run")
    return version.run_id


def known_run(client: MlflowClient, run_id: str | None) -> Run | None:
    """A run, even if it is marked as deleted; None if it does not exist."""
    return _known(lambda: client.get_run(run_id)) if run_id else None


def aliases_of(client: MlflowClient, name: str) -> dict[str, str]:
    """The aliases of a registered model and their versions; empty if there is no such model."""
    found = _known(lambda: client.get_registered_model(name))
    return {alias: str(version) for alias, version in found.aliases.items()} if found else {}


def versions_named(client: MlflowClient, name: str, tags: Mapping[str, str] | None = None) -> list[ModelVersion]:
    """All versions of the registered model `name` that have these tags, by number."""
    return every_version(client, " and ".join(filter(None, [f"name = '{name}'", with_tags(tags or {})])))


def every_version(client: MlflowClient, wanted: str) -> list[ModelVersion]:
    """All versions that match a filter, by number, without a limit."""
    found, token = [], None
    while page := client.search_model_versions(wanted, page_token=token):
        found += page
        if not (token := page.token):
            break
    return sorted(found, key=lambda version: int(version.version))


@contextmanager
def artifact_copy(client: MlflowClient, run_id: str, path: str) -> Generator[Path | None]:
    """A temporary copy of an artifact (file or folder) of a run; None if the run does not have it."""
    with tempfile.TemporaryDirectory() as scratch:
        with reachable():
            listed = client.list_artifacts(run_id, path.rpartition("/")[0])
            known = path in {item.path for item in listed}
            copy = Path(client.download_artifacts(run_id, path, scratch)) if known else None
        yield copy


@contextmanager
def present_store(prefix: str = "") -> Generator[MlflowClient]:
    """The store. It must exist, so that a search never creates an empty store.

    Raises:
        VaelineError: there is no store (the message begins with `prefix`), or it cannot be used.
    """
    file = sqlite_file(tracking_uri())
    if file is not None and not file.is_file():
        raise VaelineError(f"{prefix}no store of runs in {file}")
    with reachable():
        yield open_store()


@contextmanager
def reachable() -> Generator[None]:
    """Raise VaelineError instead of an error of the store."""
    try:
        yield
    except STORE_ERRORS as error:
        raise unreachable(error) from error


def _find_version(client: MlflowClient, name: str, version: str | None, alias: str) -> ModelVersion:
    return client.get_model_version(name, version) if version else client.get_model_version_by_alias(name, alias)


def _known(get: Callable[[], Found]) -> Found | None:
    try:
        return get()
    except MlflowException as error:
        if error.error_code not in UNKNOWN:
            raise
        return None


def _known_versions(client: MlflowClient) -> str:
    names = ", ".join(map(uri_of, client.search_model_versions(max_results=5)))
    return f"the versions are: {names}" if names else "none is registered yet"
