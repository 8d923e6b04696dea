"""The subjects of a lineage: a registered version, a run, a file or folder with DVC's md5, or an image."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from vaeline.data.prepared import SPLITS
from vaeline.errors import VaelineError
from vaeline.registry.names import SCHEME
from vaeline.registry.versions import registered_version, uri_of
from vaeline.tracking.comparison import resolve_run
from vaeline.tracking.history import RecordedLock
from vaeline.tracking.locks import Stages, deps, outs
from vaeline.tracking.runs import every_run, runs_called

NUMBER = re.compile(r"\d{1,5}")
IMAGE = re.compile(rf"({'|'.join(SPLITS)})/(\d+)")
MD5_BEGINNING = re.compile(r"[0-9a-f]{6,32}(\.dir)?")
TAG = re.compile(r"vaeline\.(?:deps|outs)\.(.+)")
FORMS = (
    "models:/name/version, models:/name@alias, a version's number, a run's name or id, DVC's md5 of data (six "
    "characters or more), or an image such as test/17"
)


@dataclass(frozen=True)
class RecordedFile:
    """A file or folder with DVC's md5, and its paths in runs and locks."""

    md5: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class ImageRow:
    """A row of the prepared data."""

    split: str
    row: int


Subject = ModelVersion | Run | RecordedFile | ImageRow


def find_subject(client: MlflowClient, text: str, recorded: Sequence[RecordedLock]) -> Subject:
    """The subject that `text` names.

    Raises:
        VaelineError: nothing has this name, or several things have it.
    """
    if image := IMAGE.fullmatch(text):
        return ImageRow(image[1], int(image[2]))
    found = find_trained(client, text)
    if found is None and MD5_BEGINNING.fullmatch(text):
        found = _find_file(client, text, recorded)
    if found is None:
        raise VaelineError(f"nothing has the name {text!r}; use {FORMS}")
    return found


def find_trained(client: MlflowClient, text: str) -> ModelVersion | Run | None:
    """The version or the run that `text` names, if any. Raises VaelineError if it names several."""
    if text.startswith(SCHEME):
        return registered_version(client, text)
    if NUMBER.fullmatch(text):
        numbered = [found for found in client.search_model_versions() if int(found.version) == int(text)]
        if len(numbered) > 1:
            raise VaelineError(f"several versions have the number {text}: use {_or(map(uri_of, numbered))}")
        if numbered:
            return registered_version(client, uri_of(numbered[0]))
    return resolve_run(client, text)[0] if runs_called(client, text) else None


def digests_of(run: Run) -> dict[str, str]:
    """The md5s of a run's inputs and outputs, by path, from its tags."""
    return {match[1]: value for tag, value in run.data.tags.items() if (match := TAG.fullmatch(tag))}


def recorded_digests(stages: Stages) -> dict[str, str]:
    """All md5s that a lock records, by path."""
    return {path: md5 for stage in stages for part in (deps, outs) for path, md5 in part(stages, stage).items()}


def _find_file(client: MlflowClient, beginning: str, recorded: Sequence[RecordedLock]) -> RecordedFile | None:
    paths: dict[str, dict[str, None]] = {}
    for digests in (*map(digests_of, every_run(client)), *(recorded_digests(lock.stages) for lock in recorded)):
        for path, md5 in digests.items():
            if md5.startswith(beginning):
                paths.setdefault(md5, {})[path] = None
    if len(paths) > 1:
        listed = _or(f"{md5} ({', '.join(found)})" for md5, found in paths.items())
        raise VaelineError(f"several md5s begin with {beginning}: use {listed}")
    return next((RecordedFile(md5, tuple(found)) for md5, found in paths.items()), None)


def _or(names: Iterable[str]) -> str:
    return " or ".join(names)
