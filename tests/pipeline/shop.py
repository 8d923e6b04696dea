"""A repository with a registry into which models are trained quickly, beside a pipeline that has run."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from pipeline.workspace import Workspace

from vaeline.archive import save_archive
from vaeline.artifacts import digest
from vaeline.data.prepared import read_prepared
from vaeline.images.arrays import to_unit
from vaeline.latents.reference import fit_reference, write_reference
from vaeline.models.generative import GenerativeModel
from vaeline.params.base import flatten
from vaeline.params.whole import Params, change_params, parse_params, read_params
from vaeline.registry.candidates import register_candidate
from vaeline.registry.garbage import MD5_TAG
from vaeline.registry.names import candidate_name, served_name
from vaeline.registry.stored import REFERENCE
from vaeline.tracking.runs import DIGEST_TAG, log_dataset, log_params
from vaeline.tracking.store import experiment_id, open_store
from vaeline.training.batches import Examples
from vaeline.training.fit import fit, start

DATASET = "digits"
NEEDED = (
    "params.yaml",
    "dvc.yaml",
    "dvc.lock",
    "data/prepared",
    "models/classifier.keras",
    "reports/validation.json",
)
QUICK = {
    "model.architecture": "mlp",
    "model.width": 64,
    "train.epochs": 15,
    "train.batch_size": 64,
    "train.learning_rate": 0.003,
}


@dataclass(frozen=True)
class Shop:
    """What `open_shop` opened. `run` is that of the pipeline, whose data all models are trained on."""

    root: Path
    client: MlflowClient
    run: Run

    def train(self, name: str, **changes: float | str) -> str:
        """Train a model on the digits and register it as a candidate: its version. `train__seed=2` is `train.seed`."""
        values = read_params(self.root / "params.yaml").model_dump(by_alias=True)
        for key, value in changes.items():
            section, entry = key.split("__")
            values[section][entry] = value
        params = parse_params(values)
        splits = read_prepared(self.root / "data/prepared").splits
        examples, validation = (Examples(splits[part].images, splits[part].labels) for part in ("train", "validation"))
        with tempfile.TemporaryDirectory() as scratch:
            progress = start(examples, 10, params.model, params.train)
            model, _ = fit(progress, examples, validation, params.train, Path(scratch) / "state", lambda row: None)
        return self.register(model, name, params)

    def register(self, model: GenerativeModel, name: str, params: Params) -> str:
        """Register a model that was trained on the digits with these parameters, with all that a candidate has."""
        prepared = read_prepared(self.root / "data/prepared")
        train = prepared.splits["train"]
        with tempfile.TemporaryDirectory() as scratch:
            archive, reference = Path(scratch) / "vae.keras", Path(scratch) / Path(REFERENCE).name
            sha256 = save_archive(model, archive)
            seen = fit_reference(model, sha256, to_unit(train.images[:100]), train.labels[:100], prepared.classes, 1)
            write_reference(seen, reference)
            tags = {key: value for key, value in self.run.data.tags.items() if not key.startswith("mlflow.log")}
            own = {DIGEST_TAG: sha256, MD5_TAG: digest(archive, "md5"), "mlflow.runName": name}
            experiment = experiment_id(self.client, DATASET)
            run_id = self.client.create_run(experiment, run_name=name, tags=tags | own).info.run_id
            run = self.client.get_run(run_id)
            log_params(self.client, run, flatten(params.model_dump(by_alias=True)))
            (data,) = self.run.inputs.dataset_inputs
            log_dataset(self.client, run, DATASET, data.dataset.digest, prepared.manifest["splits"])
            self.client.log_artifact(run_id, str(reference), REFERENCE.rpartition("/")[0])
            self.client.set_terminated(run_id)
            images = to_unit(prepared.splits["test"].images)
            run = self.client.get_run(run_id)
            return str(register_candidate(self.client, run, archive, candidate_name(DATASET), images).version)

    def crown(self, version: str) -> str:
        """Make a candidate the champion without any question: its served version."""
        name = served_name(DATASET)
        served = self.client.copy_model_version(f"models:/{candidate_name(DATASET)}/{version}", name)
        self.client.set_registered_model_alias(name, "champion", served.version)
        return str(served.version)


def open_shop(workspace: Workspace, root: Path) -> Shop:
    """A repository in `root`, the working directory, with the data of a finished pipeline and no model yet."""
    for path in NEEDED:
        source, target = workspace.root / path, root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    change_params(QUICK, root / "params.yaml")
    (run,) = workspace.runs()
    return Shop(root, open_store(), run)
