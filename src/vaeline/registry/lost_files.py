"""Bring back the files of registered versions that the store has lost, from DVC's cache."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from vaeline.data.prepared import read_prepared
from vaeline.errors import VaelineError
from vaeline.images.arrays import to_unit
from vaeline.images.types import Images
from vaeline.outputs import MODEL, PREPARED
from vaeline.pyfunc.golden import IMAGES
from vaeline.registry.candidates import has_its_files, replace_files
from vaeline.registry.garbage import MD5_TAG
from vaeline.registry.names import candidate_name, served_name
from vaeline.registry.versions import known_run, uri_of, versions_named
from vaeline.tracking.runs import DIGEST_TAG
from vaeline.tracking.store import state_directory
from vaeline.tracking.trees import recorded_tree, tree_digest, write_tree

PREPARED_TAG = f"vaeline.deps.{PREPARED}"
NOT_HERE = "neither this folder nor DVC's cache has {what}; `dvc fetch --all-commits` brings it if a remote has it"


@dataclass(frozen=True)
class Restored:
    """A version whose files were lost or changed, and the reason why they are not back; "" if they are."""

    uri: str
    problem: str


def restore_files(client: MlflowClient, dataset: str) -> list[Restored]:
    """Bring back the files of all versions of a data set that the store has lost or that were changed.

    The archive must have the digest of the version. It is packaged with the code of today, and its golden outputs are
    made again from the test images of its training.
    """
    found = []
    for name in (candidate_name(dataset), served_name(dataset)):
        for version in versions_named(client, name):
            with FileLock(state_directory() / "registry.lock"):
                if not has_its_files(client, version):
                    found.append(Restored(uri_of(version), _restore(client, version)))
    return found


def _restore(client: MlflowClient, version: ModelVersion) -> str:
    """Bring back the files of a version. Returns the reason if that is not possible, else ""."""
    run = known_run(client, version.run_id)
    if run is None or run.info.lifecycle_stage == "deleted":
        return "its run was deleted; `vaeline registry check` says what to do"
    model = recorded_tree(MODEL, version.tags.get(MD5_TAG, ""))
    if model is None or tree_digest(model) != version.tags.get(DIGEST_TAG):
        return NOT_HERE.format(what="its archive")
    with tempfile.TemporaryDirectory() as scratch:
        try:
            images = _golden_images(version.tags.get(PREPARED_TAG, ""), Path(scratch) / "prepared")
            replace_files(client, version, write_tree(model, Path(scratch) / Path(MODEL).name), images)
        except VaelineError as error:
            return str(error)
    return ""


def _golden_images(md5: str, folder: Path) -> Images:
    """The first test images of the prepared data with this md5. Raises VaelineError if they are not here."""
    prepared = recorded_tree(PREPARED, md5)
    if prepared is None:
        raise VaelineError(NOT_HERE.format(what="the data of its training"))
    return to_unit(read_prepared(write_tree(prepared, folder)).splits["test"].images[:IMAGES])
