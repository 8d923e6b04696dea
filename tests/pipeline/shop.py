"""A repository with a registry into which models are trained quickly, beside a pipeline that has run."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from vaeline.archive import save_archive
from vaeline.artifacts import digest
from vaeline.data.prepared import read_prepared
from vaeline.images.arrays import to_unit
from vaeline.latents.reference import fit_reference, write_reference
from vaeline.models.generative import GenerativeModel
from vaeline.params.base import flatten
from vaeline.params.whole import Params
from vaeline.registry.candidates import register_candidate
from vaeline.registry.garbage import MD5_TAG
from vaeline.registry.names import candidate_name
from vaeline.registry.stored import REFERENCE
from vaeline.tracking.runs import DIGEST_TAG, log_dataset, log_params
from vaeline.tracking.store import experiment_id

DATASET = "digits"


@dataclass(frozen=True)
class Shop:
    """The repository and its store. `run` is that of the pipeline, whose data all models are trained on."""

    root: Path
    client: MlflowClient
    run: Run

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
            images = to_unit(prepared.splits["test"].images[:])
            run = self.client.get_run(run_id)
            return str(register_candidate(self.client, run, archive, candidate_name(DATASET), images).version)
