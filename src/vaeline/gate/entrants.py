"""Who stands before the gate: the candidate, further seeds of its configuration, and the champion."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from vaeline.artifacts import digest
from vaeline.errors import VaelineError
from vaeline.registry.candidates import candidate_name, find_version, served_name
from vaeline.registry.resolve import ARCHIVE_ENDING, REGISTRY_SCHEME
from vaeline.registry.stored import StoredModel, find_registered, find_run_model
from vaeline.registry.versions import UNKNOWN

CHAMPION = "champion"
MODEL = Path("models/vae.keras")
ON_DISK = (".", "local")
FEWEST_SEEDS = 3
CONFIGURATION = ("model.", "train.")
SEED = "train.seed"


@dataclass(frozen=True)
class Entrant:
    """A registered version with the run that it came from."""

    stored: StoredModel
    run: Run

    @property
    def name(self) -> str:
        """The registered model."""
        return self.stored.version.name

    @property
    def number(self) -> str:
        """The version of it."""
        return str(self.stored.version.version)

    @property
    def uri(self) -> str:
        """The version, as MLflow calls it."""
        return f"{REGISTRY_SCHEME}{self.name}/{self.number}"

    @property
    def title(self) -> str:
        """The version, as figures and tables call it."""
        return f"{self.name} v{self.number}"

    @property
    def tags(self) -> dict[str, str]:
        """The version's tags."""
        return self.stored.version.tags

    @property
    def configuration(self) -> dict[str, str]:
        """The parameters of model and training, but for the seed."""
        params = self.run.data.params
        return {key: params[key] for key in sorted(params) if key.startswith(CONFIGURATION) and key != SEED}

    def as_dict(self) -> dict[str, str]:
        """What a report says of it."""
        return {
            "name": self.name,
            "version": self.number,
            "model_digest": self.stored.model_sha256,
            "run_id": self.stored.run_id,
        }


def find_candidate(client: MlflowClient, text: str, dataset: str) -> Entrant:
    """The candidate called `text`: a version's number, `models:/…`, `.` for the model on disk, a file or a run.

    Raises:
        VaelineError: there is no such model, it was not registered, or it is no candidate of this data set.
    """
    name = candidate_name(dataset)
    if text.isdecimal():
        uri = f"{REGISTRY_SCHEME}{name}/{text}"
    elif text.startswith(REGISTRY_SCHEME):
        uri = text
    else:
        version = find_version(client, name, _digest_of(text))
        if version is None:
            raise VaelineError(f"{text} is no version of {name}: `dvc repro` registers the model on disk")
        uri = f"{REGISTRY_SCHEME}{name}/{version.version}"
    found = _entrant(find_registered(uri))
    if found.name != name:
        raise VaelineError(f"{text} is no candidate; candidates for the data here are versions of {name}")
    return found


def find_champion(client: MlflowClient, dataset: str) -> Entrant | None:
    """The version that is served now; None before there was any.

    Raises:
        VaelineError: there are served versions and no champion among them, or the alias leads nowhere.
    """
    name = served_name(dataset)
    try:
        aliases = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code not in UNKNOWN:
            raise
        return None
    if CHAMPION in aliases:
        return _entrant(find_registered(f"{REGISTRY_SCHEME}{name}/{aliases[CHAMPION]}"))
    if client.search_model_versions(f"name = '{name}'", max_results=1):
        raise VaelineError(
            f"{name} has versions, but none of them is @{CHAMPION}: finish the promotion that was begun, or name the "
            "champion again with `vaeline rollback --to VERSION`"
        )
    return None


def require_contest(candidates: Sequence[Entrant], champion: Entrant | None) -> None:
    """Raise VaelineError unless these are one candidate, or several seeds of one, and none is the champion itself."""
    first, *others = candidates
    digests = {entrant.stored.model_sha256 for entrant in candidates}
    if champion and champion.stored.model_sha256 in digests:
        raise VaelineError(f"{champion.title} is the champion already, and one of the models that are to be compared")
    if len(digests) < len(candidates):
        raise VaelineError("one model is named twice; several seeds are different models")
    if 1 < len(candidates) < FEWEST_SEEDS:
        raise VaelineError(f"two seeds do not show how far seeds scatter; name one model, or {FEWEST_SEEDS} or more")
    for other in others:
        ours, theirs = first.configuration, other.configuration
        if changed := [key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key)]:
            key = changed[0]
            raise VaelineError(
                f"{other.title} is no other seed of {first.title}: {key} is {theirs.get(key)}, not {ours.get(key)}"
            )


def _digest_of(text: str) -> str:
    path = MODEL if text in ON_DISK else Path(text)
    if path.is_file():
        return digest(path)
    if text in ON_DISK or path.suffix == ARCHIVE_ENDING:
        raise VaelineError(f"{path}: no such model; train one with `dvc repro`")
    return find_run_model(text).model_sha256


def _entrant(stored: StoredModel) -> Entrant:
    return Entrant(stored, stored.client.get_run(stored.run_id))
