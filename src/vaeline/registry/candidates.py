"""Candidates: one registered version for each different model, however often it is registered."""

import importlib.metadata
import logging
import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.pyfunc import save_model
from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

import vaeline
from vaeline.artifacts import digest
from vaeline.registry.golden import GOLDEN, make_golden, write_golden
from vaeline.registry.signing import sign_folder, signing_key
from vaeline.tracking.runs import DIGEST_TAG
from vaeline.tracking.store import state_directory

if TYPE_CHECKING:
    from vaeline.models.generative import GenerativeModel

PACKAGE = Path(vaeline.__file__).parent
REQUIRED_TO_SERVE = ("mlflow", "keras", "numpy", "pydantic", "ruamel.yaml", "scikit-learn", "scipy", "tqdm")
BACKENDS = {"tensorflow": ("tensorflow-cpu", "tensorflow"), "jax": ("jax",)}
MAIN_FIGURES = ("test/neg_elbo", "test/reconstruction", "test/kl", "test/nll")
MADE_ALREADY = {"RESOURCE_ALREADY_EXISTS", "PERMISSION_DENIED"}  # on a server with users its administrator makes it
SIGNATURE = ModelSignature(
    inputs=Schema([TensorSpec(np.dtype("float32"), (-1, -1, -1))]),
    params=ParamSchema(
        [
            ParamSpec("mode", "string", "reconstruct"),
            ParamSpec("n", "long", 1),
            ParamSpec("seed", "long", 1),
            ParamSpec("temperature", "double", 1.0),
            ParamSpec("label", "long", -1),
        ]
    ),
)


def candidate_name(dataset: str) -> str:
    """The registered model that trainers write to."""
    return f"vae-{dataset}-candidates"


def served_name(dataset: str) -> str:
    """The registered model that is served; its alias `champion` says which version."""
    return f"vae-{dataset}"


def find_version(client: MlflowClient, name: str, model_digest: str) -> ModelVersion | None:
    """The version of `name` that holds this model, the first if there are several; None where there is none."""
    found = client.search_model_versions(f"name = '{name}' and tags.`{DIGEST_TAG}` = '{model_digest}'")
    return min(found, key=lambda version: int(version.version), default=None)


def register_candidate(
    client: MlflowClient, run: Run, archive: Path, name: str, images: np.ndarray | None = None
) -> ModelVersion:
    """Register the archive as a pyfunc logged to `run`, unless a version of `name` holds the same model already.

    Golden outputs about `images` (count, height, width) in [0, 1] go with it; without them, no gate lets it pass.
    """
    model_digest = digest(archive)
    with FileLock(state_directory() / "registry.lock"):
        if known := find_version(client, name, model_digest):
            return known
        make_model(client, name, "Models as they were trained; nothing here is promoted.")
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
    """Make a registered model, unless it is there or only an administrator may make it."""
    try:
        client.create_registered_model(name, description=description)
    except MlflowException as error:
        if error.error_code not in MADE_ALREADY:
            raise


def copy_version(client: MlflowClient, version: ModelVersion, name: str) -> ModelVersion:
    """Copy a version, with its tags, into the registered model `name`, which must be there.

    `MlflowClient.copy_model_version` does the same, but asks to create `name` first; where models are made by the
    administrator alone, that is refused to everybody else.
    """
    return client.create_model_version(
        name,
        source=f"models:/{version.name}/{version.version}",
        run_id=version.run_id,
        tags=version.tags,
        run_link=version.run_link,
        description=version.description,
        model_id=version.model_id,
    )


def package_pyfunc(archive: Path, folder: Path, golden: dict[str, Any] | None = None) -> None:
    """Write a self-contained MLflow model without pickle: the archive, this package's code and pinned requirements.

    Beside them lie the golden outputs, if there are any.
    """
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*input example was not provided")
        save_model(
            folder,
            python_model=str(PACKAGE / "serving" / "pyfunc.py"),
            artifacts={"model": str(archive)},
            model_config={"model_digest": digest(archive)},
            code_paths=[str(PACKAGE)],
            signature=SIGNATURE,
            pip_requirements=pinned_requirements(),
        )
    if golden is not None:
        write_golden(golden, folder / GOLDEN)


def pinned_requirements() -> list[str]:
    """The installed versions of what serving needs, with the backend that Keras runs on."""
    installed = {item.name.lower().replace("_", "-"): item.version for item in importlib.metadata.distributions()}
    backend = BACKENDS[os.environ.get("KERAS_BACKEND", "tensorflow")]
    return [f"{name}=={installed[name]}" for name in (*REQUIRED_TO_SERVE, *backend) if name in installed]


def version_tags(run: Run) -> dict[str, str]:
    """What a version says of its origin: the run's lineage tags, its main figures, and the seed."""
    lineage = {key: value for key, value in run.data.tags.items() if key.startswith(("vaeline.", "mlflow.source.git"))}
    process = {"vaeline.host", "vaeline.pid", "vaeline.pid_started"}
    figures = {
        name.replace("/", "."): f"{run.data.metrics[name]:.4f}" for name in MAIN_FIGURES if name in run.data.metrics
    }
    packages = dict(requirement.split("==") for requirement in pinned_requirements())
    return {
        **{key: value for key, value in lineage.items() if key not in process},
        **figures,
        "seed": run.data.params["train.seed"],
        "keras": packages["keras"],
    }


def _load(archive: Path) -> "GenerativeModel":
    from vaeline.models.archive import load_model  # packaging alone needs no Keras

    return load_model(archive)
