"""Find the model that a reference names at this moment. Nothing is loaded yet."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaeline.artifacts import digest
from vaeline.defects.reference import HeatMapReference, find_heat_map_reference
from vaeline.errors import VaelineError
from vaeline.models.archive import load_model
from vaeline.models.generative import GenerativeModel
from vaeline.outputs import HEAT_MAPS
from vaeline.pyfunc.golden import read_golden
from vaeline.registry.resolve import find_stored, names_archive
from vaeline.registry.stored import GOLDEN_OUTPUTS, StoredModel, load_stored
from vaeline.registry.versions import uri_of


@dataclass(frozen=True)
class Identity:
    """The identity of a model in answers: its URI, the SHA-256 of its archive and, if registered, name and version."""

    uri: str
    digest: str
    name: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class ResolvedModel:
    """A model that can be loaded.

    load: loads the model. Raises VaelineError if its archive has another digest.
    read_golden: reads the golden outputs; None if the model was stored without them.
    read_heat_maps: reads the reference of heat maps; None if there is none for this model.
    tags: the tags of the registered version.
    """

    identity: Identity
    load: Callable[[], GenerativeModel]
    read_golden: Callable[[], dict[str, Any] | None]
    tags: Mapping[str, str] = field(default_factory=dict)
    read_heat_maps: Callable[[], HeatMapReference | None] = lambda: None


def resolve(reference: str) -> ResolvedModel:
    """The model that `reference` names now. Raises VaelineError if there is none or the store does not answer."""
    if names_archive(reference):
        return _resolve_archive(Path(reference))
    stored = find_stored(reference)
    version = stored.version
    identity = (
        Identity(uri_of(version), stored.model_sha256, version.name, str(version.version))
        if version
        else Identity(f"runs:/{stored.run_id}", stored.model_sha256)
    )
    tags = version.tags if version else {}
    return ResolvedModel(
        identity, lambda: load_stored(stored), lambda: _read_golden(stored), tags, stored.read_heat_maps
    )


def _resolve_archive(path: Path) -> ResolvedModel:
    if not path.is_file():
        raise VaelineError(f"{path}: no such model; train one with `dvc repro`")
    found = digest(path)
    return ResolvedModel(
        Identity(str(path), found),
        lambda: load_model(path, found),
        lambda: None,
        read_heat_maps=lambda: _heat_maps_of(found),
    )


def _heat_maps_of(model_sha256: str) -> HeatMapReference | None:
    """The reference of heat maps among the reports, if it is that of this model."""
    found = find_heat_map_reference(Path(HEAT_MAPS))
    return found if found is not None and found.model_sha256 == model_sha256 else None


def _read_golden(stored: StoredModel) -> dict[str, Any] | None:
    with stored.artifact(GOLDEN_OUTPUTS) as file:
        return None if file is None else read_golden(file)
