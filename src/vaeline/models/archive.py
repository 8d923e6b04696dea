"""Archives of models."""

from pathlib import Path

from vaeline.archive import load_archive
from vaeline.models.build import register_models
from vaeline.models.generative import GenerativeModel


def load_model(path: Path, expected_digest: str | None = None) -> GenerativeModel:
    """Load the model at `path` by `load_archive`. Raises VaelineError where that is not possible."""
    register_models()
    return load_archive(path, GenerativeModel, expected_digest)
