import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from mlflow import MlflowClient
from stores import empty_store, forget_artifacts

from vaeline.archive import save_archive
from vaeline.artifacts import digest
from vaeline.data.image_sets import ImageSet
from vaeline.data.prepared import Prepared, read_prepared
from vaeline.images.arrays import to_unit
from vaeline.ingestion.simulation import Simulated, simulate
from vaeline.models.generative import GenerativeModel
from vaeline.params.monitor import MonitorParams
from vaeline.params.whole import Params, change_params, read_params
from vaeline.registry.candidates import register_candidate
from vaeline.registry.names import served_name
from vaeline.tracking.runs import DIGEST_TAG, log_dataset
from vaeline.tracking.store import experiment_id, open_store

DATASET = "digits"
SMALL = {"monitor.window_rows": 200, "monitor.least_rows": 50, "monitor.permutations": 199}


@pytest.fixture(scope="session")
def settings(params: Params) -> MonitorParams:
    """The repository's own settings, with fewer permutations."""
    return params.monitor.model_copy(update={"permutations": 199})


@pytest.fixture(scope="module")
def shop(processes: None, small_model: GenerativeModel, prepared_directory: Path, tmp_path_factory) -> Iterator[Path]:
    """A repository of the digits, whose champion is the small model; it is the working directory."""
    root = tmp_path_factory.mktemp("monitored")
    shutil.copy(ROOT / "params.yaml", root)
    change_params({"data.dataset": DATASET, "monitor.measured_on": DATASET, **SMALL}, root / "params.yaml")
    (root / "dvc.yaml").touch()
    shutil.copy(empty_store(), root)
    shutil.copytree(prepared_directory, root / "data/prepared")
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
            patch.delenv(variable, raising=False)
        forget_artifacts(patch)
        patch.chdir(root)
        crown(open_store(), small_model, read_prepared(Path("data/prepared")))
        yield root


def crown(client: MlflowClient, model: GenerativeModel, prepared: Prepared) -> None:
    """Make a model the champion, as a training, a registration and a promotion leave it."""
    sha256 = save_archive(model, Path("models/vae.keras"))
    tags = {DIGEST_TAG: sha256, "vaeline.outs.models/vae.keras": digest(Path("models/vae.keras"), "md5")}
    run = client.create_run(experiment_id(client, DATASET), run_name="small", tags=tags)
    client.log_param(run.info.run_id, "train.seed", 1)
    log_dataset(client, run, DATASET, "0" * 32, prepared.manifest["splits"])
    client.set_terminated(run.info.run_id)
    images = to_unit(prepared.splits["test"].images[:8])
    run = client.get_run(run.info.run_id)
    version = register_candidate(client, run, Path("models/vae.keras"), f"{served_name(DATASET)}-candidates", images)
    served = client.copy_model_version(f"models:/{version.name}/{version.version}", served_name(DATASET))
    client.set_registered_model_alias(served.name, "champion", served.version)


@pytest.fixture
def prepared(shop: Path) -> Prepared:
    return read_prepared(shop / "data/prepared")


@pytest.fixture
def repository_params(shop: Path) -> Params:
    return read_params(shop / "params.yaml")


@pytest.fixture(scope="session")
def batch(digits: ImageSet):
    """A simulated batch of the digits."""

    def draw(kind: str, rows: int, seed: int, strength: float | None = None) -> Simulated:
        return simulate(kind, digits.images, digits.labels, rows, seed, strength)

    return draw
