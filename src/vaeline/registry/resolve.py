"""A trained model by what people call it: a file, a run, or a registered version."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vaeline.artifacts import digest
from vaeline.errors import VaelineError
from vaeline.registry.names import SCHEME

if TYPE_CHECKING:
    from vaeline.latents.reference import Reference
    from vaeline.models.generative import GenerativeModel
    from vaeline.registry.stored import StoredModel

REFERENCE = Path("reports/latent_reference.json")
ARCHIVE_ENDING = ".keras"


@dataclass(frozen=True)
class LoadedModel:
    """A loaded model, its archive's SHA-256, what messages call it, and how to get its latent reference.

    `read_reference` raises VaelineError where the model has none, or the one that is there belongs to another model.
    """

    model: "GenerativeModel"
    model_sha256: str
    name: str
    read_reference: Callable[[], "Reference"]


def resolve_model(reference: str) -> LoadedModel:
    """The model called `reference`: a path to an archive, `models:/name/version`, `models:/name@alias`, or a run.

    What is a file, or looks like an archive by its ending, is a path; another word is a run's name or id. A stored
    model is loaded only if it has the SHA-256 that the run or the version is tagged with.

    Raises:
        VaelineError: there is no such model, it is not what its tag says, or the store cannot be used.
    """
    if names_archive(reference):
        return _resolve_archive(Path(reference))
    from vaeline.registry.stored import load_stored  # a file needs no MLflow

    stored = find_stored(reference)
    return LoadedModel(
        load_stored(stored),
        stored.model_sha256,
        stored.name,
        lambda: check_reference(stored.read_reference(), stored.model_sha256, stored.name),
    )


def names_archive(reference: str) -> bool:
    """Whether `reference` is a path: to a file, or to what looks like an archive by its ending."""
    path = Path(reference)
    return path.suffix == ARCHIVE_ENDING or path.is_file()


def find_stored(reference: str) -> "StoredModel":
    """The stored model called `reference`, which is no path. Raises VaelineError."""
    from vaeline.registry.stored import find_registered, find_run_model

    return find_registered(reference) if reference.startswith(SCHEME) else find_run_model(reference)


def check_reference(found: "Reference", model_sha256: str, name: str) -> "Reference":
    """`found`, if it belongs to the model with this digest; `name` is what a message calls the model."""
    if found.model_sha256 != model_sha256:
        raise VaelineError(
            f"the latent reference at hand was made from another model ({found.model_sha256[:12]}…) than {name} "
            f"({model_sha256[:12]}…); run `dvc repro evaluate`"
        )
    return found


def _resolve_archive(path: Path) -> LoadedModel:
    from vaeline.latents.reference import read_reference
    from vaeline.models.archive import load_model

    model = load_model(path)
    model_sha256 = digest(path)
    return LoadedModel(
        model, model_sha256, str(path), lambda: check_reference(read_reference(REFERENCE), model_sha256, str(path))
    )
