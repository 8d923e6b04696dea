"""Find a trained model by its reference: a file, a run, or a registered version."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vaeline.artifacts import digest
from vaeline.errors import VaelineError
from vaeline.outputs import HEAT_MAPS, REFERENCE
from vaeline.registry.names import SCHEME

if TYPE_CHECKING:
    from vaeline.defects.reference import HeatMapReference
    from vaeline.latents.reference import Reference
    from vaeline.models.generative import GenerativeModel
    from vaeline.registry.stored import StoredModel

ARCHIVE_ENDING = ".keras"


@dataclass(frozen=True)
class LoadedModel:
    """A loaded model, its archive's SHA-256, its name in messages, and functions that read its references.

    `read_reference` raises VaelineError if the model has no latent reference, or one that belongs to another model.
    `read_heat_maps` raises it for a reference of heat maps of another model, and gives None if there is none: earlier
    versions of vaeline made none.
    """

    model: "GenerativeModel"
    model_sha256: str
    name: str
    read_reference: Callable[[], "Reference"]
    read_heat_maps: Callable[[], "HeatMapReference | None"]


def resolve_model(reference: str) -> LoadedModel:
    """The model called `reference`: a path to an archive, `models:/name/version`, `models:/name@alias`, or a run.

    An existing file, or a name with the ending of an archive, is a path. Any other word is a run's name or id. A stored
    model is loaded only if its SHA-256 is the one in the tag of its run or version.

    Raises:
        VaelineError: there is no such model, its digest differs from its tag, or the store cannot be used.
    """
    if names_archive(reference):
        return _resolve_archive(Path(reference))
    from vaeline.registry.stored import load_stored  # imported here, because a file needs no MLflow

    stored = find_stored(reference)
    return LoadedModel(
        load_stored(stored),
        stored.model_sha256,
        stored.name,
        lambda: check_reference(stored.read_reference(), stored.model_sha256, stored.name),
        lambda: check_heat_maps(stored.read_heat_maps(), stored.model_sha256, stored.name),
    )


def names_archive(reference: str) -> bool:
    """Whether `reference` is a path: an existing file, or a name with the ending of an archive."""
    path = Path(reference)
    return path.suffix == ARCHIVE_ENDING or path.is_file()


def find_stored(reference: str) -> "StoredModel":
    """The stored model called `reference`, which is not a path. Raises VaelineError."""
    from vaeline.registry.stored import find_registered, find_run_model

    return find_registered(reference) if reference.startswith(SCHEME) else find_run_model(reference)


def check_reference(found: "Reference", model_sha256: str, name: str) -> "Reference":
    """`found`, if it belongs to the model with this digest, else VaelineError. `name` is for the message."""
    _check_owner("the latent reference", found.model_sha256, model_sha256, name)
    return found


def check_heat_maps(found: "HeatMapReference | None", model_sha256: str, name: str) -> "HeatMapReference | None":
    """As `check_reference`, for the reference of heat maps, if there is one."""
    if found is not None:
        _check_owner("the reference of heat maps", found.model_sha256, model_sha256, name)
    return found


def _check_owner(what: str, owner: str, model_sha256: str, name: str) -> None:
    if owner != model_sha256:
        raise VaelineError(
            f"{what} was made from another model ({owner[:12]}…) than {name} ({model_sha256[:12]}…); "
            "run `dvc repro evaluate`"
        )


def _resolve_archive(path: Path) -> LoadedModel:
    from vaeline.defects.reference import find_heat_map_reference
    from vaeline.latents.reference import read_reference
    from vaeline.models.archive import load_model

    model = load_model(path)
    model_sha256 = digest(path)
    return LoadedModel(
        model,
        model_sha256,
        str(path),
        lambda: check_reference(read_reference(Path(REFERENCE)), model_sha256, str(path)),
        lambda: check_heat_maps(find_heat_map_reference(Path(HEAT_MAPS)), model_sha256, str(path)),
    )
