"""What several tests need: real data, small and prepared, and small models."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import array_checks  # noqa: F401 (it must be imported before vaeline)
import numpy as np
import pytest
from forking.programs import OWNER, SHARED
from xdist.scheduler import LoadScopeScheduling

from vaeline.archive import save_archive
from vaeline.data.image_sets import ImageSet, read_digits
from vaeline.data.prepared import Prepared, read_prepared, write_prepared
from vaeline.data.splits import hold_out
from vaeline.images.arrays import to_unit
from vaeline.images.png import save_picture
from vaeline.latents.reference import fit_reference, write_reference
from vaeline.models.generative import GenerativeModel
from vaeline.params.whole import Params, read_params
from vaeline.training.batches import Examples
from vaeline.training.fit import fit, start

ROOT = Path(__file__).resolve().parent.parent
MIRROR = Path(os.environ.get("VAELINE_MIRROR") or ROOT.parent / "shared" / "mnist")

TOGETHER = {
    "tests/pipeline/test_compare.py": "two_runs",
    "tests/pipeline/test_mlflow_ui.py": "two_runs",
    "tests/pipeline/test_server_rights.py": "team_server",
    "tests/pipeline/test_team_server.py": "team_server",
}

needs_mnist = pytest.mark.skipif(
    not (MIRROR / "t10k-images-idx3-ubyte.gz").is_file(), reason="no MNIST mirror: set VAELINE_MIRROR to a folder"
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder that all workers share; they are children of this process and find it in the environment."""
    if not hasattr(config, "workerinput"):
        os.environ |= {SHARED: tempfile.mkdtemp(prefix="vaeline-tests-"), OWNER: str(os.getpid())}


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ[SHARED], ignore_errors=True)


class SharedFixtures(LoadScopeScheduling):
    """For several workers: a module stays on one, and those that share a fixture that took long to make."""

    def _split_scope(self, nodeid: str) -> str:
        module, _, _ = nodeid.partition("::")
        return TOGETHER.get(module, module)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedFixtures:
    return SharedFixtures(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones begin."""
    items.sort(key=lambda item: Path(item.path).parent.name not in ("pipeline", "fault"))


@pytest.fixture(scope="session")
def params() -> Params:
    """The repository's own parameters."""
    return read_params(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def digits() -> ImageSet:
    """The real handwritten digits that need no network."""
    return read_digits()


@pytest.fixture(scope="session")
def prepared_directory(digits: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits as prepared data on disk."""
    directory = tmp_path_factory.mktemp("prepared") / "prepared"
    rest, test = hold_out(digits.labels, 6, 1, "test")
    train, validation = hold_out(digits.labels[rest], 12, 1, "validation")
    rows = {"train": rest[train], "validation": rest[validation], "test": test}
    about = {"dataset": "digits", "name": "digits", "title": "UCI digits", "classes": digits.classes}
    write_prepared(directory, {name: (digits.images, digits.labels, taken) for name, taken in rows.items()}, about)
    return directory


@pytest.fixture
def prepared(prepared_directory: Path) -> Prepared:
    """The digits, prepared and opened."""
    return read_prepared(prepared_directory)


@pytest.fixture(scope="session")
def greys(digits: ImageSet) -> np.ndarray:
    """Forty digits (40, 28, 28, 1) in [0, 1]."""
    return digits.images[:40].astype("float32") / 255


def first(examples: Examples, count: int) -> Examples:
    """The first images and their labels."""
    return Examples(examples.images[:count], examples.labels[:count])


@pytest.fixture(scope="session")
def small_model(params: Params, digits: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> GenerativeModel:
    """A 2-D model trained a little on the digits."""
    model_params = params.model.model_copy(update={"architecture": "mlp"})
    changes = {"epochs": 8, "batch_size": 64, "learning_rate": 0.003, "min_kl": 0.0, "jit_compile": False}
    train = params.train.model_copy(update=changes)
    examples = Examples(digits.images, digits.labels)
    progress = start(examples, 10, model_params, train)
    checkpoint = tmp_path_factory.mktemp("small-model") / "checkpoint"
    return fit(progress, examples, first(examples, 100), train, checkpoint, lambda row: None)[0]


@pytest.fixture(scope="session")
def conditional_model(params: Params, digits: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> GenerativeModel:
    """A conditional model with a prior by class, trained a little on the digits."""
    prior = params.model.prior.model_copy(update={"kind": "label"})
    changes = {"kind": "cvae", "architecture": "mlp", "latent_dim": 3, "prior": prior}
    quick = {"epochs": 6, "batch_size": 64, "learning_rate": 0.003, "min_kl": 0.0, "jit_compile": False}
    train = params.train.model_copy(update=quick)
    examples = Examples(digits.images, digits.labels)
    progress = start(examples, 10, params.model.model_copy(update=changes), train)
    checkpoint = tmp_path_factory.mktemp("conditional-model") / "checkpoint"
    return fit(progress, examples, first(examples, 100), train, checkpoint, lambda row: None)[0]


@pytest.fixture(scope="session")
def desk(params: Params, digits: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a user has it: a small model trained on the digits, its latent reference, and ten pictures."""
    folder = tmp_path_factory.mktemp("desk")
    model_params = params.model.model_copy(update={"architecture": "mlp", "latent_dim": 4})
    quick = {"epochs": 10, "batch_size": 64, "min_kl": 0.0, "jit_compile": False, "learning_rate": 0.002}
    train = params.train.model_copy(update=quick)
    examples = Examples(digits.images, digits.labels)
    progress = start(examples, 10, model_params, train)
    model, _ = fit(progress, examples, first(examples, 100), train, folder / "checkpoint", lambda row: None)
    digest = save_archive(model, folder / "models/vae.keras")
    reference = fit_reference(model, digest, to_unit(digits.images), digits.labels, digits.classes, 1)
    write_reference(reference, folder / "reports/latent_reference.json")
    (folder / "pictures").mkdir()
    for digit, image in enumerate(to_unit(digits.images[:10])):
        save_picture(image, folder / f"pictures/{digit}.png")
    return folder
