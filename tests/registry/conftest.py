from pathlib import Path

import numpy as np
import pytest
from registry.vault import Vault, build_vault, copy_vault
from shared import made_once
from stores import forget_artifacts

from vaeline.params.whole import Params
from vaeline.tracking.store import open_store

OUTSIDE = ("MLFLOW_TRACKING_URI", "DVC_ROOT", "VAELINE_SIGNING_KEY", "VAELINE_PUBLIC_KEY", "GITHUB_ACTOR")


@pytest.fixture(scope="session")
def built_vault(processes: None, params: Params, greys: np.ndarray) -> Path:
    """A registry with three candidates, to copy."""
    small = params.model.model_copy(update={"architecture": "mlp", "width": 8, "depth": 1})

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for variable in OUTSIDE:
                patch.delenv(variable, raising=False)
            patch.chdir(folder)
            build_vault(folder, small, greys)

    return made_once("built-vault", make)


@pytest.fixture(scope="session")
def crowned_vault(built_vault: Path) -> Path:
    """The same, with the first as champion and the second passed by the gate since, to copy."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            opened = _open_copy(built_vault, folder, patch)
            opened.crown(1)
            opened.gate(2)

    return made_once("crowned-vault", make)


@pytest.fixture(scope="session")
def succeeded_vault(crowned_vault: Path) -> Path:
    """The same again, with the second as champion after the first, to copy."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            _open_copy(crowned_vault, folder, patch).crown(2)

    return made_once("succeeded-vault", make)


@pytest.fixture
def vault(built_vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """A registry of one's own with three candidates; its repository is the working directory."""
    return _open_copy(built_vault, tmp_path / "vault", monkeypatch)


@pytest.fixture
def crowned(crowned_vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """A registry of one's own whose champion is the first candidate's model; the second has passed the gate."""
    return _open_copy(crowned_vault, tmp_path / "vault", monkeypatch)


@pytest.fixture
def succeeded(succeeded_vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """A registry of one's own whose champion is the second candidate's model, and before it was the first's."""
    return _open_copy(succeeded_vault, tmp_path / "vault", monkeypatch)


def _open_copy(source: Path, target: Path, patch: pytest.MonkeyPatch) -> Vault:
    copy_vault(source, target)
    forget_artifacts(patch)
    for variable in OUTSIDE:
        patch.delenv(variable, raising=False)
    patch.setenv("MLFLOW_TRACKING_USERNAME", "tester")
    patch.chdir(target)
    return Vault(target, open_store())
