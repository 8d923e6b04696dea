"""Find registered versions by role: a candidate by its name, and the champion of a data set."""

from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from vaeline.artifacts import digest
from vaeline.errors import VaelineError
from vaeline.outputs import MODEL
from vaeline.registry.candidates import find_version
from vaeline.registry.names import CHAMPION, SCHEME, candidate_name, served_name, version_uri
from vaeline.registry.resolve import ARCHIVE_ENDING
from vaeline.registry.stored import StoredModel, find_registered, find_run_model, version_of
from vaeline.registry.versions import UNKNOWN

ON_DISK = (".", "local")
CONFIGURATION = ("model.", "train.")
SEED = "train.seed"


@dataclass(frozen=True)
class RegisteredVersion:
    """A registered version with the run that it came from."""

    stored: StoredModel
    run: Run

    @property
    def version(self) -> ModelVersion:
        """MLflow's description of the version."""
        return version_of(self.stored)

    @property
    def name(self) -> str:
        """The name of the registered model."""
        return self.version.name

    @property
    def number(self) -> str:
        """The number of the version."""
        return str(self.version.version)

    @property
    def uri(self) -> str:
        """MLflow's address of the version."""
        return version_uri(self.name, self.number)

    @property
    def title(self) -> str:
        """The title of the version in figures and tables."""
        return f"{self.name} v{self.number}"

    @property
    def tags(self) -> dict[str, str]:
        """The version's tags."""
        return self.version.tags

    @property
    def configuration(self) -> dict[str, str]:
        """The parameters of model and training without the seed."""
        params = self.run.data.params
        return {key: params[key] for key in sorted(params) if key.startswith(CONFIGURATION) and key != SEED}

    def as_dict(self) -> dict[str, str]:
        """The entries about the version in a report."""
        return {
            "name": self.name,
            "version": self.number,
            "model_digest": self.stored.model_sha256,
            "run_id": self.stored.run_id,
        }


def find_candidate(client: MlflowClient, text: str, dataset: str) -> RegisteredVersion:
    """The candidate called `text`: a version's number, `models:/…`, `.` for the model on disk, a file or a run.

    Raises:
        VaelineError: there is no such model, it was not registered, or it is not a candidate of this data set.
    """
    name = candidate_name(dataset)
    if text.isdecimal():
        uri = version_uri(name, text)
    elif text.startswith(SCHEME):
        uri = text
    else:
        version = find_version(client, name, _digest_of(text))
        if version is None:
            raise VaelineError(f"{text} is not a version of {name}; `dvc repro` registers the model on disk")
        uri = version_uri(name, version.version)
    found = _registered_version(find_registered(uri))
    if found.name != name:
        raise VaelineError(f"{text} is not a candidate; candidates for the present data are versions of {name}")
    return found


def find_champion(client: MlflowClient, dataset: str) -> RegisteredVersion | None:
    """The champion: the version that is served now. None if there was never a served version.

    Raises:
        VaelineError: there are served versions but no champion, or the alias names a deleted version.
    """
    name = served_name(dataset)
    try:
        aliases = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code not in UNKNOWN:
            raise
        return None
    if CHAMPION in aliases:
        return _registered_version(find_registered(version_uri(name, aliases[CHAMPION])))
    if client.search_model_versions(f"name = '{name}'", max_results=1):
        raise VaelineError(
            f"{name} has versions, but none of them is @{CHAMPION}; run the interrupted promotion again, or set the "
            "champion with `vaeline rollback --to VERSION`"
        )
    return None


def _digest_of(text: str) -> str:
    path = Path(MODEL) if text in ON_DISK else Path(text)
    if path.is_file():
        return digest(path)
    if text in ON_DISK or path.suffix == ARCHIVE_ENDING:
        raise VaelineError(f"{path}: no such model; train one with `dvc repro`")
    return find_run_model(text).model_sha256


def _registered_version(stored: StoredModel) -> RegisteredVersion:
    return RegisteredVersion(stored, stored.client.get_run(stored.run_id))
