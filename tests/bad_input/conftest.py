import shutil
from pathlib import Path

import pytest
from conftest import ROOT
from registry.conftest import built_vault, crowned_vault, succeeded_vault  # noqa: F401
from registry.vault import copy_vault
from serving.conftest import host  # noqa: F401

from vaeline.params.whole import change_params


@pytest.fixture(scope="session")
def bench(desk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a user has it, with the files of the repository that commands read."""
    folder = tmp_path_factory.mktemp("bench")
    shutil.copytree(desk, folder, dirs_exist_ok=True)
    for name in ("params.yaml", "dvc.yaml", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    for name in ("presets", "data/profiles", "data/incoming"):
        shutil.copytree(ROOT / name, folder / name)
    change_params({"data.dataset": "digits"}, folder / "params.yaml")
    (folder / "a-file").write_text("a file\n")
    (folder / "cut.keras").write_bytes((folder / "models/vae.keras").read_bytes()[:5000])
    (folder / "empty.keras").touch()
    (folder / "empty").mkdir()
    return folder


@pytest.fixture(scope="session")
def some_yaml() -> str:
    """Eleven lines of YAML whose aliases stand for 10^11 values."""
    lines = [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]" for number in range(1, 11)]
    return "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x, x]", *lines]) + "\n"


@pytest.fixture(scope="module")
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose registry has three candidates and two champions, one after the other."""
    folder = tmp_path_factory.mktemp("registry")
    copy_vault(request.getfixturevalue("succeeded_vault"), folder)
    (folder / "a-file").write_text("a file\n")
    return folder
