"""Models in the MLflow store: where a run or a registered version keeps its archive and its latent reference."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient

from vaeline.applications.reference import Reference, read_reference
from vaeline.errors import VaelineError
from vaeline.models.archive import load_model
from vaeline.models.generative import GenerativeModel
from vaeline.registry.versions import ARCHIVE, artifact_copy, present_store, registered_version
from vaeline.tracking.runs import DIGEST_TAG, runs_called

REFERENCE = "evaluation/latent_reference.json"
NO_FILE = "no such model file, and "


@dataclass(frozen=True)
class StoredModel:
    """A run that holds a model, the SHA-256 that its archive must have, and what messages call it."""

    client: MlflowClient
    run_id: str
    model_sha256: str
    name: str

    def read_reference(self) -> Reference:
        """The latent reference that the run holds. Raises VaelineError."""
        with self.artifact(REFERENCE) as file:
            if file is None:
                raise VaelineError(f"{self.name} has no {REFERENCE}; run `dvc repro evaluate` with this model")
            return read_reference(file)

    @contextmanager
    def artifact(self, path: str) -> Iterator[Path | None]:
        """A temporary copy of an artifact of the run, which messages call by its lasting name; None where it is not."""
        with artifact_copy(self.client, self.run_id, path) as copy:
            try:
                yield copy
            except VaelineError as error:
                raise VaelineError(str(error).replace(str(copy), f"{path} of {self.name}")) from error


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
        version = registered_version(client, uri)
    return StoredModel(client, version.run_id, version.tags[DIGEST_TAG], uri)


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
