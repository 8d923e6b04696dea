from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from vaeline.cli import app
from vaeline.models.archive import load_model
from vaeline.models.vae import VAE


@pytest.fixture
def vaeline(desk: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `vaeline` at the desk; an exception that is no exit fails the test."""
    monkeypatch.chdir(desk)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return lambda *arguments: CliRunner().invoke(app, [str(part) for part in arguments], catch_exceptions=False)


@pytest.fixture
def numbers(vaeline: Callable[..., Result], tmp_path: Path) -> Callable[..., np.ndarray]:
    """Run a command that must succeed, and return what it writes into an .npy."""

    def run(*arguments: object) -> np.ndarray:
        answer = vaeline(*arguments, "--out", tmp_path / "numbers.npy")
        assert answer.exit_code == 0, answer.output
        return np.load(tmp_path / "numbers.npy", allow_pickle=False)

    return run


@pytest.fixture(scope="session")
def model(desk: Path) -> VAE:
    """The model on the desk."""
    return load_model(desk / "models/vae.keras")
