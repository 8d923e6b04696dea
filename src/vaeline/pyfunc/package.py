"""Write a model as a folder that MLflow serves: the archive, the code of this package and pinned requirements."""

import importlib.metadata
import json
import logging
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import ModelSignature
from mlflow.pyfunc import save_model
from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

import vaeline
from vaeline.artifacts import digest
from vaeline.images.spec import ImageSpec, parse_spec, with_image
from vaeline.pyfunc.contents import write_list
from vaeline.pyfunc.golden import GOLDEN, write_golden

PACKAGE = Path(vaeline.__file__).parent
REQUIRED_TO_SERVE = (
    "mlflow",
    "jaxtyping",
    "keras",
    "numpy",
    "psutil",
    "pydantic",
    "ruamel.yaml",
    "scikit-learn",
    "scipy",
    "tqdm",
)
BACKENDS = {"tensorflow": ("tensorflow-cpu", "tensorflow"), "jax": ("jax",)}
PARAMS = ParamSchema(
    [
        ParamSpec("mode", "string", "reconstruct"),
        ParamSpec("n", "long", 1),
        ParamSpec("seed", "long", 1),
        ParamSpec("temperature", "double", 1.0),
        ParamSpec("label", "long", -1),
        ParamSpec("latents", "double", [], shape=(-1,)),
    ]
)


def package_pyfunc(archive: Path, folder: Path, golden: dict[str, Any] | None = None) -> str:
    """Write a self-contained MLflow model without pickle: the archive, the code of this package, pinned requirements.

    `golden` are golden outputs for the folder, if there are any. Returns the SHA-256 of the list of its files.
    """
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*input example was not provided")
        save_model(
            folder,
            python_model=str(PACKAGE / "pyfunc" / "model.py"),
            artifacts={"model": str(archive)},
            model_config={"model_digest": digest(archive)},
            code_paths=[str(PACKAGE)],
            signature=signature_of(read_image_spec(archive)),
            pip_requirements=pinned_requirements(),
        )
    if golden is not None:
        write_golden(golden, folder / GOLDEN)
    return write_list(folder)


def signature_of(image: ImageSpec) -> ModelSignature:
    """The input of the packaged model: images (count, height, width, channels), float32, and parameters."""
    return ModelSignature(inputs=Schema([TensorSpec(np.dtype("float32"), (-1, *image.shape))]), params=PARAMS)


def read_image_spec(archive: Path) -> ImageSpec:
    """The size of the images of a model, from its archive. The model is not loaded."""
    with zipfile.ZipFile(archive) as members:
        config = json.loads(members.read("config.json"))["config"]
    return parse_spec(with_image(config).get("image"), str(archive))


def pinned_requirements() -> list[str]:
    """The installed versions of the packages that serving needs, with the backend of Keras."""
    installed = {item.name.lower().replace("_", "-"): item.version for item in importlib.metadata.distributions()}
    backend = BACKENDS[os.environ.get("KERAS_BACKEND", "tensorflow")]
    return [f"{name}=={installed[name]}" for name in (*REQUIRED_TO_SERVE, *backend) if name in installed]
