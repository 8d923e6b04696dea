"""`vaeline gate` on models that were trained on the real digits, in a repository whose pipeline has run."""

import shutil
from pathlib import Path

import numpy as np
from pipeline.workspace import Workspace

from vaeline.applications.reference import fit_reference, write_reference
from vaeline.archive import save_archive
from vaeline.data.prepared import read_prepared, scale
from vaeline.params import flatten, parse_params, read_params
from vaeline.registry.candidates import candidate_name, register_candidate
from vaeline.tracking.runs import DIGEST_TAG, log_dataset, log_params
from vaeline.tracking.store import experiment_id, open_store
from vaeline.training.batches import Examples
from vaeline.training.fit import fit, start

DATASET = "digits"
NEEDED = ("params.yaml", "dvc.yaml", "dvc.lock", "data/prepared", "models/classifier.keras", "reports/validation.json")
SMALL_GATE = {
    "model.architecture": "mlp",
    "model.width": 64,
    "train.epochs": 30,
    "train.learning_rate": 0.003,
    "gate.nll_images": 300,
    "gate.nll_samples": 20,
    "gate.resamples": 400,
    "gate.min_gain": 4.0,
    "gate.margin": 4.0,
    "gate.slice_margin": 30.0,
    "gate.worst": 172.0,
    "gate.floors.kl": 1.0,
    "gate.floors.precision": 0.1,
    "gate.floors.auroc": 0.5,
    "gate.budget.milliseconds": 20_000.0,
}


class Shop:
    """A repository with a registry: models are trained into it as candidates."""

    def __init__(self, root: Path, template):
        self.root, self.template = root, template
        self.workspace = Workspace(root)
        self.prepared = read_prepared(root / "data/prepared")
        self.client = open_store()
        self.experiment = experiment_id(self.client, DATASET)

    def train(self, name: str, **changes) -> str:
        """Train and register a model; `train__seed=2` is `train.seed`. Returns the number of its version."""
        values = read_params(self.root / "params.yaml").model_dump(by_alias=True)
        for key, value in changes.items():
            section, entry = key.split("__")
            values[section][entry] = value
        params = parse_params(values)
        train = self.prepared.splits["train"]
        examples = Examples(train.images, train.labels)
        validation = (
            Examples(*self.prepared.splits["validation"][:2])
            if False
            else Examples(self.prepared.splits["validation"].images, self.prepared.splits["validation"].labels)
        )
        progress = start(examples, 10, params.model, params.train)
        model, _ = fit(progress, examples, validation, params.train, self.root / ".checkpoint", lambda row: None)
        shutil.rmtree(self.root / ".checkpoint")
        archive = self.root / f"{name}.keras"
        sha256 = save_archive(model, archive)
        kept = {key: value for key, value in self.template.data.tags.items() if key.startswith(("vaeline.", "mlflow."))}
        run = self.client.create_run(self.experiment, run_name=name, tags=kept | {DIGEST_TAG: sha256})
        log_params(self.client, run, flatten(params.model_dump(by_alias=True)))
        (data,) = self.template.inputs.dataset_inputs
        log_dataset(self.client, run, DATASET, data.dataset.digest, self.prepared.manifest["splits"])
        rows = np.arange(300)
        reference = fit_reference(
            model, sha256, scale(train.images[rows]), train.labels[rows], self.prepared.classes, params.evaluate.seed
        )
        write_reference(reference, self.root / "latent_reference.json")
        self.client.log_artifact(run.info.run_id, str(self.root / "latent_reference.json"), "evaluation")
        self.client.set_terminated(run.info.run_id)
        images = scale(self.prepared.splits["test"].images[:4])
        run = self.client.get_run(run.info.run_id)
        return str(register_candidate(self.client, run, archive, candidate_name(DATASET), images).version)
