"""Candidates: one registered version for each different model. Registering a model again makes no second version."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from vaeline.artifacts import digest
from vaeline.images.types import Images
from vaeline.pyfunc.golden import make_golden
from vaeline.pyfunc.package import package_pyfunc, pinned_requirements
from vaeline.registry.names import version_uri
from vaeline.registry.signing import sign_folder, signing_key
from vaeline.registry.versions import versions_named
from vaeline.scores import HEADLINES, metric_of
from vaeline.tracking.runs import DIGEST_TAG
from vaeline.tracking.store import state_directory

if TYPE_CHECKING:
    from vaeline.models.generative import GenerativeModel

MADE_ALREADY = {"RESOURCE_ALREADY_EXISTS", "PERMISSION_DENIED"}  # the second: only an administrator may


def find_version(client: MlflowClient, name: str, model_digest: str) -> ModelVersion | None:
    """The first version of `name` with this model; None if there is none."""
    return next(iter(versions_named(client, name, {DIGEST_TAG: model_digest})), None)


def register_candidate(
    client: MlflowClient, run: Run, archive: Path, name: str, images: Images | None = None
) -> ModelVersion:
    """Register the archive as a pyfunc model logged to `run`, unless a version of `name` has the same model already.

    The golden outputs of `images` (count, height, width, channels) in [0, 1] are stored with it. Without them, the gate
    does not pass the model.
    """
    model_digest = digest(archive)
    with FileLock(state_directory() / "registry.lock"):
        if known := find_version(client, name, model_digest):
            return known
        make_model(client, name, "Trained models; none of them is promoted here.")
        golden = None if images is None else make_golden(_load(archive), images)
        with tempfile.TemporaryDirectory() as scratch:
            package_pyfunc(archive, Path(scratch) / "model", golden)
            if key := signing_key():
                sign_folder(Path(scratch) / "model", key)
            client.log_artifacts(run.info.run_id, str(Path(scratch) / "model"), "model")
        return client.create_model_version(
            name,
            source=f"{run.info.artifact_uri}/model",
            run_id=run.info.run_id,
            tags={**version_tags(run), DIGEST_TAG: model_digest},
        )


def make_model(client: MlflowClient, name: str, description: str) -> None:
    """Make a registered model, unless it exists or only an administrator may make it."""
    try:
        client.create_registered_model(name, description=description)
    except MlflowException as error:
        if error.error_code not in MADE_ALREADY:
            raise


def copy_version(client: MlflowClient, version: ModelVersion, name: str) -> ModelVersion:
    """Copy a version, with its tags, into the registered model `name`, which must exist.

    `MlflowClient.copy_model_version` does the same, but first tries to create `name`. A server with users allows that
    only to its administrator.
    """
    return client.create_model_version(
        name,
        source=version_uri(version.name, version.version),
        run_id=version.run_id,
        tags=version.tags,
        run_link=version.run_link,
        description=version.description,
        model_id=version.model_id,
    )


def version_tags(run: Run) -> dict[str, str]:
    """Tags of a version about its origin: the run's lineage tags, its headline metrics, and the seed."""
    lineage = {key: value for key, value in run.data.tags.items() if key.startswith(("vaeline.", "mlflow.source.git"))}
    process = {"vaeline.host", "vaeline.pid", "vaeline.pid_started"}
    figures = {
        name.replace("/", "."): f"{run.data.metrics[name]:.4f}"
        for name in map(metric_of, HEADLINES)
        if name in run.data.metrics
    }
    packages = dict(requirement.split("==") for requirement in pinned_requirements())
    return {
        **{key: value for key, value in lineage.items() if key not in process},
        **figures,
        "seed": run.data.params["train.seed"],
        "keras": packages["keras"],
    }


def _load(archive: Path) -> "GenerativeModel":
    from vaeline.models.archive import load_model  # imported here, because packaging needs no Keras

    return load_model(archive)
