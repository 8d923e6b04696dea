"""What several tests need: real data, small and prepared, and small models."""

import os

# Each worker has one core. With more threads, BLAS and scikit-learn spend forty times the seconds on small arrays. The
# pipeline gives TensorFlow its own number of threads, whatever is set here.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}

import gc
import json
import shutil
import signal
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import array_checks  # noqa: F401 (it must be imported before vaeline)
import garbage  # before what is large
import numpy as np
import pytest
from guard import guard, is_slow, watch
from shared import FOLDER, OWNER, made_once
from xdist.scheduler import LoadScopeScheduling

from vaeline.data.image_sets import ImageSet, read_digits
from vaeline.data.prepared import Prepared, read_prepared, write_prepared
from vaeline.data.sources import MNIST_IMAGE
from vaeline.data.splits import hold_out
from vaeline.images.arrays import to_unit
from vaeline.images.png import save_picture
from vaeline.params.evaluate import EvaluateParams
from vaeline.params.model import ModelParams
from vaeline.params.whole import Params, read_params
from vaeline.training.batches import Examples

if TYPE_CHECKING:
    from vaeline.evaluation.subject import Subject
    from vaeline.models.generative import GenerativeModel
    from vaeline.training.checkpoint import History

ROOT = Path(__file__).resolve().parent.parent
MIRROR = Path(os.environ.get("VAELINE_MIRROR") or ROOT.parent / "shared" / "mnist")

BATCH = 64
TOGETHER = {
    "tests/pipeline/test_server_rights.py": "team_server",
    "tests/pipeline/test_team_server.py": "team_server",
}

needs_mnist = pytest.mark.skipif(
    not (MIRROR / "t10k-images-idx3-ubyte.gz").is_file(), reason="no MNIST mirror: set VAELINE_MIRROR to a folder"
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder that all workers share; they are children of this process and find it in the environment."""
    worker = hasattr(config, "workerinput")
    if worker or not config.getoption("numprocesses", None):
        watch()  # a process that only deals tests out to workers does without TensorFlow
    if not worker:
        os.environ |= {FOLDER: tempfile.mkdtemp(prefix="vaeline-tests-"), OWNER: str(os.getpid())}


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ[FOLDER], ignore_errors=True)


class SharedFixtures(LoadScopeScheduling):
    """For several workers: a module stays on one, and those that share a fixture that took long to make."""

    def _split_scope(self, nodeid: str) -> str:
        module, _, _ = nodeid.partition("::")
        return TOGETHER.get(module, module)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedFixtures | None:
    return SharedFixtures(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow ones. Modules of whole pipelines begin, other modules with slow tests follow.

    Quick modules come last, so that all workers end at about the same time.
    """
    slow_modules = set()
    for item in items:
        if is_slow(item):
            item.add_marker("slow")
            slow_modules.add(item.path)
    items.sort(key=lambda item: (item.path.parent.name not in ("pipeline", "fault"), item.path not in slow_modules))


def pytest_collection_finish() -> None:
    """Leave what was imported out of later collections of garbage."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Let a test, with its fixtures, train a model or start a process only if it is slow."""
    guard.slow_allowed = is_slow(item)
    try:
        return (yield)
    finally:
        guard.slow_allowed = True
        if nextitem is None or nextitem.path != item.path:
            garbage.leave_out_what_stays()


@pytest.fixture(scope="session")
def training() -> None:
    """What a test or a fixture asks for that trains a model."""


@pytest.fixture(scope="session")
def processes() -> None:
    """What a test or a fixture asks for that starts a process, git included."""


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds the machine's GPU in this process, which would start itself again on JAX."""
    monkeypatch.setattr("vaeline.compute.DRIVER", Path("no GPU"))


@pytest.fixture
def interruptible() -> Generator[None]:
    """What a test starts ends with Ctrl-C.

    A suite that a script began in the background ignores this signal, and so would its processes.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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


@pytest.fixture
def prepared_shards(
    prepared: Prepared, digits: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, int], Path]:
    """A function that writes the prepared digits again, into a folder of this name, with shards of so many bytes."""

    def write(name: str, size: int) -> Path:
        monkeypatch.setattr("vaeline.data.prepared.SHARD_BYTES", size)
        sources = {split: (digits.images, digits.labels, found.indices) for split, found in prepared.splits.items()}
        about = {key: value for key, value in prepared.manifest.items() if key not in ("splits", "shards")}
        write_prepared(tmp_path / name, sources, about)
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def greys(digits: ImageSet) -> np.ndarray:
    """Forty digits (40, 28, 28, 1) in [0, 1]."""
    return digits.images[:40].astype("float32") / 255


def first(examples: Examples, count: int) -> Examples:
    """The first images and their labels."""
    return Examples(examples.images[:count], examples.labels[:count])


def train_once(
    name: str, params: Params, examples: Examples, model: dict[str, Any], train: dict[str, Any]
) -> "tuple[GenerativeModel, History]":
    """A model trained a little on images of ten classes, once for all workers, and its history.

    `model` and `train` are the values that differ from the repository's parameters. All batches have the same size: a
    last one that is smaller would trace the model again.
    """
    from vaeline.archive import save_archive
    from vaeline.models.archive import load_model
    from vaeline.training.fit import fit, start

    def make(folder: Path) -> None:
        quick = {"batch_size": BATCH, "min_kl": 0.0, "jit_compile": False}
        train_params = params.train.model_copy(update=quick | train)
        whole = first(examples, len(examples.images) // BATCH * BATCH)
        progress = start(whole, 10, params.model.model_copy(update=model), train_params)
        held_out = first(examples, 100)
        found, history = fit(progress, whole, held_out, train_params, folder / "checkpoint", lambda row: None)
        save_archive(found, folder / "model.keras")
        (folder / "history.json").write_text(json.dumps(history), encoding="utf-8")

    folder = made_once(f"model-{name}", make)
    return load_model(folder / "model.keras"), json.loads((folder / "history.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def small_model(training: None, params: Params, digits: ImageSet) -> "GenerativeModel":
    """A 2-D model trained a little on the digits."""
    examples = Examples(digits.images, digits.labels)
    return train_once("small", params, examples, {"architecture": "mlp"}, {"epochs": 8, "learning_rate": 0.003})[0]


@pytest.fixture(scope="session")
def conditional_model(training: None, params: Params, digits: ImageSet) -> "GenerativeModel":
    """A conditional model with a prior by class, trained a little on the digits."""
    prior = params.model.prior.model_copy(update={"kind": "label"})
    model = {"kind": "cvae", "architecture": "mlp", "latent_dim": 3, "prior": prior}
    examples = Examples(digits.images, digits.labels)
    return train_once("conditional", params, examples, model, {"epochs": 6, "learning_rate": 0.003})[0]


@pytest.fixture(scope="session")
def evaluate_params(params: Params) -> EvaluateParams:
    """The parameters of `evaluate` for few images."""
    small = {"nll_images": 30, "nll_samples": 20, "grid_points": 64, "samples": 100, "restoration_images": 5}
    return params.evaluate.model_copy(update=small)


@pytest.fixture
def subject(small_model: "GenerativeModel", prepared: Prepared) -> "Subject":
    """The small model and the digits."""
    from vaeline.evaluation.subject import Subject

    return Subject(small_model, prepared, 1)


@pytest.fixture
def coder(params: Params, prepared: Prepared) -> "Subject":
    """A model with a codebook, untrained but for its start, and the digits."""
    from vaeline.evaluation.subject import Subject
    from vaeline.models.build import build_model

    given = params.model.model_dump() | {"kind": "vqvae", "architecture": "conv", "latent_dim": 2}
    given["prior"] |= {"kind": "autoregressive", "layers": 1, "width": 16}
    given["codebook"] |= {"codes": 12}
    model = build_model(ModelParams.model_validate(given), MNIST_IMAGE, 10, 1)
    train = prepared.splits["train"]
    model.initialize(train.images[:100], train.labels[:100])
    return Subject(model, prepared, 1)


@pytest.fixture(scope="session")
def desk(training: None, params: Params, digits: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a user has it: a small model trained on the digits, its latent reference, and ten pictures."""
    from vaeline.archive import save_archive
    from vaeline.latents.reference import fit_reference, write_reference

    examples = Examples(digits.images, digits.labels)
    model = {"architecture": "mlp", "latent_dim": 4}
    trained, _ = train_once("desk", params, examples, model, {"epochs": 10, "learning_rate": 0.002})
    folder = tmp_path_factory.mktemp("desk")
    digest = save_archive(trained, folder / "models/vae.keras")
    reference = fit_reference(trained, digest, to_unit(digits.images), digits.labels, digits.classes, 1)
    write_reference(reference, folder / "reports/latent_reference.json")
    (folder / "pictures").mkdir()
    for digit, image in enumerate(to_unit(digits.images[:10])):
        save_picture(image, folder / f"pictures/{digit}.png")
    return folder
