"""Archives of VAEs."""

from pathlib import Path

from vaeline.archive import load_archive, save_archive
from vaeline.models.vae import VAE


def save_model(model: VAE, path: Path) -> str:
    """Write `model` to `path` by `save_archive`; return the archive's SHA-256."""
    return save_archive(model, path)


def load_model(path: Path, expected_digest: str | None = None) -> VAE:
    """Load the VAE at `path` by `load_archive`. Raises VaelineError where that is not possible."""
    return load_archive(path, VAE, expected_digest)
