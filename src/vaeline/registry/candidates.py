"""Candidates: one registered version for each different model, however often it is registered."""

import importlib.metadata
import logging
import os
import tempfile
import warnings
from pathlib import Path

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
from vaeline.tracking.runs import DIGEST_TAG
from vaeline.tracking.store import state_directory

PACKAGE = Path(vaeline.__file__).parent
REQUIRED_TO_SERVE = ("mlflow", "keras", "numpy", "pydantic", "ruamel.yaml", "scikit-learn", "scipy", "tqdm")
BACKENDS = {"tensorflow": ("tensorflow-cpu", "tensorflow"), "jax": ("jax",)}
MAIN_FIGURES = ("test/neg_elbo", "test/reconstruction", "test/kl", "test/nll")
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
    """The version of `name` that holds this model; None where there is none."""
    found = client.search_model_versions(f"name = '{name}' and tags.`{DIGEST_TAG}` = '{model_digest}'")
    return found[0] if found else None


def register_candidate(client: MlflowClient, run: Run, archive: Path, name: str) -> ModelVersion:
    """Register the archive as a pyfunc logged to `run`, unless a version of `name` holds the same model already."""
    model_digest = digest(archive)
    with FileLock(state_directory() / "registry.lock"):
        if known := find_version(client, name, model_digest):
            return known
        try:
            client.create_registered_model(name, description="Models as they were trained; nothing here is promoted.")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        with tempfile.TemporaryDirectory() as scratch:
            package_pyfunc(archive, Path(scratch) / "model")
            client.log_artifacts(run.info.run_id, str(Path(scratch) / "model"), "model")
        return client.create_model_version(
            name,
            source=f"{run.info.artifact_uri}/model",
            run_id=run.info.run_id,
            tags={**version_tags(run), DIGEST_TAG: model_digest},
        )


def package_pyfunc(archive: Path, folder: Path) -> None:
    """Write a self-contained MLflow model without pickle: the archive, this package's code and pinned requirements."""
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
